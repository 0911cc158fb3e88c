"""What a recogniser makes up: sentences that Whisper learned from subtitles and writes where nobody speaks."""

from __future__ import annotations

import re

from media.speech.engine import Recognition
from media.speech.sound import Samples, level

NOBODY = 0.6  # probability of no speech from which a badly recognised text is dropped; Whisper's own figure
GUESSED = -1.0  # mean log probability; Whisper's own figure
NEAR_SILENCE = -55.0  # dBFS; a quiet voice on a poor microphone has about -45

# Credits of subtitlers: nobody says them in a meeting.
_CREDITS = re.compile(
    r"amara\.org|sous-titr(age|es)\b.{0,40}(radio-canada|soci[ée]t[ée]|communaut[ée]|par|st'? ?501)"
    r"|untertitel(ung)?\b.{0,40}(zdf|swr|ndr|wdr|funk|community|auftrag|von)"
    r"|subtitles? (by|provided)|transcri(pt|ption) (by|outsourcing)|copyright (wdr|swr|ndr|zdf)",
    re.IGNORECASE,
)
# Said in meetings too, but heard in silence far more often.
_POLITE = re.compile(
    r"(merci( beaucoup)?( à tous)?( d'avoir regardé( (la|cette) vidéo)?)?|abonnez-vous.*"
    r"|thank(s| you)( very much| so much)?( for watching.*)?|bye( bye)?|please subscribe.*|you"
    r"|(vielen )?dank(e)?( fürs? (zuschauen|zuhören).*)?|bis zum nächsten mal)",
    re.IGNORECASE,
)


def is_made_up(recognition: Recognition, samples: Samples) -> bool:
    """Whether the text is to be left out of the transcript."""
    text = recognition.text.strip()
    if not any(character.isalnum() for character in text):
        return True
    if recognition.no_speech > NOBODY and recognition.avg_logprob < GUESSED:
        return True
    if _CREDITS.search(text):
        return True
    unsure = recognition.no_speech > NOBODY or level(samples) < NEAR_SILENCE
    return unsure and _POLITE.fullmatch(text.strip(" .!…,")) is not None
