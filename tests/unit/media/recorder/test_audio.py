"""Sound placed by timestamp, whatever is missing."""

import numpy as np
import pytest

from media.recorder.audio import RATE, Decimator, SoundReader, blocks_of, hermite
from media.recorder.clocks import MediaClock, Piece
from media.recorder.depacketise import EncodedFrame
from tests.support.synthetic_meeting import opus

SSRC = 5
CODEC_DELAY = 312  # samples that Opus holds back, RFC 7587


def clock(*pieces):
    """Pieces as (arrival from which it holds, offset in seconds, drift)."""
    return {SSRC: MediaClock(RATE, tuple(
        Piece(start, np.array([0.0, 1000.0]), np.array([offset, offset + 1000.0 * drift]))
        for start, offset, drift in pieces
    ))}  # fmt: skip


def tone(seconds, frequency=440):
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def frames(sound, *, missing=(), stop=None):
    """Packets of `sound`; `missing` by number; `stop` = (packet, seconds) by which the RTP clock lags from there."""
    out = []
    for number, data in enumerate(opus(sound, 64_000)):
        if number in missing:
            continue
        behind = stop[1] if stop and number >= stop[0] else 0.0
        timestamp = number * 960 - round(behind * RATE)
        out.append(EncodedFrame(SSRC, timestamp, number * 0.02, data, True, True, False))
    return out


def read(reader, seconds, block=4800):
    silence = np.zeros(block, np.float32)
    parts = (reader.block(n * block / RATE, block) for n in range(round(seconds * RATE / block)))
    return np.concatenate([silence if part is None else part for part in parts])


def likeness(one, other):
    """Correlation of two stretches."""
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def test_sound_is_where_its_timestamps_say():
    sound = tone(2)
    got = read(SoundReader(frames(sound), clock((0, 0.5, 0.0))), 2.5)
    assert np.abs(got[: round(0.49 * RATE)]).max() == 0
    start = round(0.5 * RATE) + CODEC_DELAY + 2000
    assert likeness(got[start : start + 40_000], sound[2000:42_000]) > 0.995


def test_what_was_not_sent_is_silence_of_the_right_length():
    sound = tone(2)
    got = read(SoundReader(frames(sound, missing=range(40, 60)), clock((0, 0.0, 0.0))), 2)
    gap = slice(40 * 960, 60 * 960)
    assert np.abs(got[gap]).max() < 1e-6
    after = round(1.4 * RATE)
    assert likeness(got[after + CODEC_DELAY : after + CODEC_DELAY + 9600], sound[after : after + 9600]) > 0.99


def test_a_gap_begins_and_ends_without_a_click():
    got = read(SoundReader(frames(tone(2), missing=range(40, 60)), clock((0, 0.0, 0.0))), 2)
    assert np.abs(np.diff(got)).max() < 0.06, "a tone of 440 Hz at 0.5 rises by 0.03 per sample"


def test_a_sender_whose_crystal_drifts_is_followed():
    drift = 200e-6
    sound = tone(3)
    got = read(SoundReader(frames(sound), clock((0, 0.0, drift))), 3)
    at = round(2.5 * RATE)
    media = (at - CODEC_DELAY * (1 + drift) + np.arange(9600)) / (1 + drift)
    wanted = 0.5 * np.sin(2 * np.pi * 440 * media / RATE)
    assert likeness(got[at : at + 9600], wanted.astype(np.float32)) > 0.999


def test_after_a_stop_of_the_rtp_clock_sound_goes_on_at_its_own_time():
    """The microphone was off from 1 to 1.5 s, and the RTP clock with it."""
    sound = tone(2, 1000)
    packets = frames(sound, missing=range(50, 75), stop=(75, 0.5))
    got = read(SoundReader(packets, clock((0, 0.0, 0.0), (1.5, 0.5, 0.0))), 2)
    assert np.abs(got[round(1.05 * RATE) : round(1.49 * RATE)]).max() == 0
    assert np.abs(got[round(1.55 * RATE) : round(1.95 * RATE)]).max() > 0.3


def test_packets_that_are_no_opus_are_counted_and_silent():
    broken = EncodedFrame(SSRC, 0, 0.0, b"\xff" * 3, True, True, False)
    reader = SoundReader([broken], clock((0, 0.0, 0.0)))
    assert reader.block(0.0, 4800) is None
    assert reader.undecodable == 1


def test_an_hour_of_sound_is_never_held():
    """Two seconds are read in blocks, then a jump far ahead: nothing older stays."""
    reader = SoundReader(frames(tone(4)), clock((0, 0.0, 0.0)))
    most = 0
    for number in range(40):
        reader.block(number / 10, 4800)
        most = max(most, len(reader._decoded))
    assert most <= 5
    reader = SoundReader(frames(tone(4)), clock((0, 0.0, 0.0)))
    reader.block(0.0, 4800)
    reader.block(3.5, 4800)
    assert len(reader._decoded) <= 5


def test_interpolation_is_exact_on_the_grid_and_close_between():
    line = tone(0.1)
    position = np.arange(10, 4000, dtype=np.float64)
    assert np.array_equal(hermite(line, position), line[10:4000])
    between = hermite(line, position + 0.37)
    wanted = 0.5 * np.sin(2 * np.pi * 440 * (position + 0.37) / RATE)
    assert np.abs(between - wanted).max() < 1e-4


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_decimation_keeps_speech_and_time_and_drops_what_would_fold(rate):
    decimator = Decimator(rate)
    low, high = tone(1, 1000), tone(1, rate / 2 + 1500)
    blocks = [decimator(block) for block in np.split(low, 10)]
    got = np.concatenate(blocks)
    assert len(got) == rate
    time = np.arange(rate) / rate - decimator.delay
    wanted = (0.5 * np.sin(2 * np.pi * 1000 * time)).astype(np.float32)
    assert likeness(got[rate // 10 :], wanted[rate // 10 :]) > 0.9999
    if rate < RATE:
        assert np.abs(Decimator(rate)(high)[rate // 10 : -rate // 10]).max() < 0.02


def test_a_rate_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="cannot be divided"):
        Decimator(44_100)


def test_a_span_is_cut_into_blocks_without_rest_or_overlap():
    blocks = list(blocks_of((1.25, 3.5), 3))
    assert [at for at, _ in blocks] == [1.25, 2.25, 3.25]
    assert [count for _, count in blocks] == [48_000, 48_000, 12_000]
