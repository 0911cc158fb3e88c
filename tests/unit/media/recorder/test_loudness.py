"""Loudness as ITU-R BS.1770 has it, and who speaks when."""

import numpy as np
import pytest

from media.recorder.loudness import RATE, LoudnessMeter, k_weighting
from media.recorder.mix import CEILING, DELAY, Limiter


def tone(seconds, level, frequency=997):
    amplitude = 10 ** (level / 20)
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def measure(sound, block=RATE):
    meter = LoudnessMeter()
    for at in range(0, len(sound), block):
        meter.add(at / RATE, sound[at : at + block])
    return meter.result()


@pytest.mark.parametrize("level", [0, -20, -35])
def test_a_sine_of_one_kilohertz_is_three_below_its_peak(level):
    """BS.1770-5: a 0 dBFS 997 Hz sine in one channel gives -3.01 LUFS."""
    assert measure(tone(5, level)).lufs == pytest.approx(level - 3.01, abs=0.1)


def test_the_weighting_is_the_standards():
    gain = 10 * np.log10(k_weighting(np.array([100.0, 997.0, 10_000.0])))
    assert gain == pytest.approx([-1.1, 0.69, 4.0], abs=0.25)


@pytest.mark.parametrize("block", [4800, 7777, RATE])
def test_the_size_of_blocks_does_not_matter(block):
    sound = tone(4, -23)
    assert measure(sound, block).lufs == pytest.approx(measure(sound).lufs, abs=0.05)


def test_pauses_do_not_make_a_speaker_quiet():
    sound = np.concatenate([tone(3, -25), np.zeros(20 * RATE, np.float32), tone(3, -25)])
    assert measure(sound).lufs == pytest.approx(-28.0, abs=0.5)


@pytest.mark.parametrize("level", [-13, -23, -33])
def test_everybody_is_brought_to_the_same_loudness(level):
    sound = tone(4, level)
    assert measure(sound * measure(sound).gain).lufs == pytest.approx(-20, abs=0.2)


def test_noise_of_a_room_is_not_raised():
    noise = np.random.default_rng(1).normal(0, 10 ** (-62 / 20), 5 * RATE).astype(np.float32)
    assert measure(noise).gain == 1.0


def test_very_quiet_speech_is_raised_by_a_bounded_amount():
    assert measure(tone(4, -45)).gain == pytest.approx(10 ** (24 / 20))


def test_when_somebody_speaks_is_known():
    sound = np.zeros(12 * RATE, np.float32)
    sound[2 * RATE : 4 * RATE] = tone(2, -25)
    sound[round(4.4 * RATE) : 6 * RATE] = tone(1.6, -25)
    sound[9 * RATE : round(9.05 * RATE)] = tone(0.05, -35)
    ((start, end),) = measure(sound).speaking
    assert start == pytest.approx(2, abs=0.25)
    assert end == pytest.approx(6, abs=0.25)


def test_a_hole_in_the_sound_begins_a_new_stretch():
    meter = LoudnessMeter()
    meter.add(0.0, tone(2, -25))
    meter.add(60.0, tone(2, -25))
    spans = meter.result().speaking
    assert [round(start) for start, _ in spans] == [0, 60]


def limited(sound, block=4800):
    limiter = Limiter()
    return np.concatenate([limiter(part) for part in np.split(sound, len(sound) // block)])


def test_peaks_stay_below_the_ceiling_and_quiet_sound_is_untouched():
    loud = tone(1, 6)
    assert np.abs(limited(loud)).max() <= CEILING + 1e-4
    quiet = tone(1, -12)
    late = round(DELAY * RATE)
    assert np.abs(limited(quiet)[late:] - quiet[:-late]).max() < 1e-6


def test_the_limiter_lets_go_after_a_peak():
    sound = tone(2, -12)
    sound[RATE // 2 : RATE // 2 + 480] *= 8
    out = limited(sound)
    assert np.abs(out).max() <= CEILING + 1e-4
    late = round(DELAY * RATE)
    assert np.abs(out[-9600:] - sound[-9600 - late : -late]).max() < 0.01


def test_the_limiter_takes_whole_milliseconds_only():
    with pytest.raises(ValueError, match="whole milliseconds"):
        Limiter()(np.zeros(47, np.float32))
