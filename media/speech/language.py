"""Which language a speaker speaks, among those of the meeting: evidence in, a decision out. Pure.

Recognisers that may choose among a hundred languages take an English accent for Welsh and write nonsense; among three
they are right nearly always, but for very short utterances, which follow what the speaker spoke last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

ENOUGH_SECONDS = 3.0  # shorter utterances are told apart badly and prove nothing
REMEMBERED = 3  # utterances that count; somebody who changes for good is followed after two
SURE = 0.9  # from here one long utterance speaks for itself: people do change for a sentence


class LanguageChooser:
    """One speaker's languages. `languages` in order of preference: the first where nothing was heard yet."""

    def __init__(self, languages: Sequence[str]) -> None:
        self._languages = tuple(languages)
        self._evidence: deque[Mapping[str, float]] = deque(maxlen=REMEMBERED)

    @property
    def settled(self) -> bool:
        """Whether enough was heard for short utterances to follow."""
        if len(self._languages) == 1 or len(self._evidence) == REMEMBERED:
            return True
        return bool(self._evidence) and max(self._average().values()) >= SURE

    def hear(self, probabilities: Mapping[str, float], seconds: float) -> None:
        """Take an utterance into account."""
        if seconds >= ENOUGH_SECONDS:
            self._evidence.append(probabilities)

    def choose(self, probabilities: Mapping[str, float], seconds: float) -> str:
        """The language to recognise an utterance in, after it and others were heard."""
        best = max(self._languages, key=lambda language: probabilities.get(language, 0.0))
        if seconds >= ENOUGH_SECONDS and probabilities.get(best, 0.0) >= SURE:
            return best
        if not self._evidence:
            return best if probabilities else self._languages[0]
        average = self._average()
        return max(self._languages, key=lambda language: average[language])

    def _average(self) -> dict[str, float]:
        return {
            language: sum(heard.get(language, 0.0) for heard in self._evidence) / len(self._evidence)
            for language in self._languages
        }
