"""A track's blocks become utterances with the right times, in little memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from media.speech.cutting import LEAD
from media.speech.sound import FRAME, RATE, Samples
from media.speech.utterances import Utterance, utterances

LEAD_SECONDS = LEAD * FRAME / RATE


class Loudness:
    """Takes for speech what is not zero; stands in for the network, whose place is in the tests with real speech."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def probabilities(self, samples):
        frames = np.abs(samples.reshape(-1, FRAME)).max(axis=1) if len(samples) else np.zeros(0)
        return np.where(frames > 0, 0.99, 0.01).astype(np.float32)


def sound(seconds: float) -> np.ndarray:
    return np.full(round(seconds * RATE), 0.5, np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def cut(*blocks: tuple[float, Samples]) -> list[Utterance]:
    return list(utterances(iter(blocks), Loudness()))


def test_an_utterance_starts_when_it_was_said():
    (found,) = cut((10.0, np.concatenate([silence(2), sound(1.5), silence(2)])))
    assert found.start == pytest.approx(12.0 - LEAD_SECONDS, abs=FRAME / RATE)
    assert np.count_nonzero(found.samples) == pytest.approx(1.5 * RATE, abs=2)


def test_blocks_of_any_length_give_the_same_utterances():
    track = np.concatenate([silence(1), sound(2), silence(1), sound(3), silence(0.3)])
    whole = cut((0.0, track))
    for length in (37, 160, 511, 513, 7000):
        found = cut(*((at / RATE, track[at : at + length]) for at in range(0, len(track), length)))
        assert [(u.start, len(u.samples)) for u in found] == [(u.start, len(u.samples)) for u in whole]


def test_a_muted_microphone_ends_the_utterance_and_the_next_has_its_own_time():
    first, second = cut((1.0, sound(1)), (60.0, sound(1)))
    assert (first.start, second.start) == (1.0, 60.0)


def test_a_lost_packet_is_filled_with_silence():
    (found,) = cut((0.0, sound(1)), (1.1, sound(1)))
    assert found.seconds == pytest.approx(2.1, abs=0.05)
    assert np.count_nonzero(found.samples == 0) >= 0.09 * RATE


def test_rounded_time_stamps_neither_fill_nor_cut():
    (found,) = cut(*((0.5 * n + (0.005 if n % 2 else 0.0), sound(0.5)) for n in range(4)))
    assert np.count_nonzero(found.samples) == 2 * RATE


def test_a_clock_that_was_set_back_repeats_nothing():
    (found,) = cut((10.0, sound(2)), (11.0, sound(2)), (5.0, sound(1)))
    assert found.start == 10.0
    assert np.count_nonzero(found.samples) == pytest.approx(3 * RATE, abs=FRAME)


def test_what_is_no_number_is_silence():
    broken = sound(1)
    broken[100:200] = np.nan
    broken[200:300] = np.inf
    (found,) = cut((0.0, broken))
    assert np.isfinite(found.samples).all()


def test_empty_blocks_and_tracks_have_no_utterance():
    assert cut() == []
    assert cut((0.0, silence(0)), (0.0, silence(0))) == []


def test_an_hour_is_never_held_in_memory():
    spoken = np.concatenate([sound(0.7), silence(0.3)])
    hour = ((float(second), spoken) for second in range(3600))
    tracemalloc.start()
    try:
        seconds = sum(utterance.seconds for utterance in utterances(hour, Loudness()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds > 3000
    assert peak < 8 << 20  # the hour itself has 230 MB
