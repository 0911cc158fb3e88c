"""What Whisper makes up where nobody speaks does not get into a transcript."""

from __future__ import annotations

import numpy as np
import pytest

from media.speech.doubts import is_made_up
from media.speech.engine import Recognition
from media.speech.sound import RATE, SILENCE, level

LOUD = np.full(RATE, 0.1, np.float32)
HISS = np.full(RATE, 0.0005, np.float32)


def recognised(text: str, avg_logprob: float = -0.2, no_speech: float = 0.05) -> Recognition:
    return Recognition(text, (), avg_logprob, no_speech, "fr")


@pytest.mark.parametrize(
    "text",
    [
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Sous-titrage Société Radio-Canada",
        "Untertitelung des ZDF, 2020",
        "Untertitel im Auftrag des ZDF für funk, 2017",
        "Subtitles by the Amara.org community",
        "...",
        "♪",
        "",
    ],
)
def test_credits_and_signs_are_never_said(text):
    assert is_made_up(recognised(text), LOUD)


@pytest.mark.parametrize("text", ["Merci.", "Thank you.", "Thanks for watching!", "Vielen Dank fürs Zuschauen."])
def test_thanks_are_believed_when_somebody_speaks_and_not_in_a_hiss(text):
    assert not is_made_up(recognised(text), LOUD)
    assert is_made_up(recognised(text), HISS)
    assert is_made_up(recognised(text, no_speech=0.9), LOUD)


def test_a_guess_where_probably_nobody_speaks_is_dropped():
    assert is_made_up(recognised("Il faut que je parte", avg_logprob=-1.3, no_speech=0.8), LOUD)
    assert not is_made_up(recognised("Il faut que je parte", avg_logprob=-1.3, no_speech=0.1), LOUD)


def test_a_quiet_sentence_is_kept():
    assert not is_made_up(recognised("Merci pour le budget, je propose de voter."), HISS)


def test_a_meeting_about_subtitles_is_kept():
    assert not is_made_up(recognised("Le sous-titrage des vidéos sera obligatoire en mars."), LOUD)


def test_loudness_is_in_decibels_below_full_scale():
    assert level(np.ones(100, np.float32)) == 0.0
    assert level(np.full(100, 0.1, np.float32)) == pytest.approx(-20.0, abs=0.01)
    assert level(np.zeros(100, np.float32)) == level(np.zeros(0, np.float32)) == SILENCE
