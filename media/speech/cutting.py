"""Where utterances begin and end, from the probability of speech of each frame. No sound, no network: pure rules.

A recogniser wants pieces of a few seconds that end in pauses: short ones cost little, and cut words are misheard.
"""

from __future__ import annotations

from dataclasses import dataclass

from media.speech.sound import FRAME, RATE

SPEECH = 0.5  # a frame above it begins an utterance, as Silero recommends
STILL_SPEECH = 0.35  # a frame above it keeps one going, so that a weak syllable does not end it


def _frames(seconds: float) -> int:
    return round(seconds * RATE / FRAME)


LEAD = _frames(0.3)  # kept before the first frame of speech: the network notices soft consonants late
TAIL = _frames(0.3)  # kept after the last
PAUSE = _frames(0.6)  # of silence ends an utterance; people breathe for less within a sentence
LONGEST = _frames(12.0)  # Whisper without timestamps loses the end of much longer pieces
SEARCH = _frames(5.0)  # where, back from the longest, the quietest moment is sought to cut at
MARGIN = _frames(0.3)  # nearer than this to the end a pause can't be told from the gap in a word
LEAST_SPEECH = _frames(0.16)  # less is a click or a cough; a "oui" has 200 ms


@dataclass(frozen=True)
class Span:
    """Frames `first` up to, not including, `end`, counted from the cutter's first frame."""

    first: int
    end: int


class Cutter:
    """Fed one probability per frame, in order; says when an utterance is over. `oldest` is what must be kept."""

    def __init__(self) -> None:
        self._next = 0  # number of the next frame
        self._first: int | None = None  # where the utterance in progress begins
        self._free = 0  # frames before this belong to the utterance before
        self._probabilities: list[float] = []  # of the utterance in progress, from its first frame of speech
        self._heard = 0  # number of the frame that `_probabilities` begins with
        self._silence = 0  # frames since the last one of speech

    @property
    def oldest(self) -> int:
        """The first frame that a coming utterance may still contain."""
        return self._first if self._first is not None else max(self._free, self._next - LEAD)

    def feed(self, probability: float) -> Span | None:
        """The utterance that this frame ends, if it does."""
        frame = self._next
        self._next += 1
        if self._first is None:
            if probability > SPEECH:
                self._first = max(self._free, frame - LEAD)
                self._heard, self._probabilities, self._silence = frame, [probability], 0
            return None
        self._probabilities.append(probability)
        self._silence = 0 if probability > STILL_SPEECH else self._silence + 1
        if self._silence >= PAUSE:
            return self._close(self._next - self._silence + TAIL)
        if self._next - self._first >= LONGEST:
            return self._split()
        return None

    def finish(self) -> Span | None:
        """What is left when the track ends or pauses."""
        if self._first is None:
            return None
        return self._close(min(self._next, self._next - self._silence + TAIL))

    def _close(self, end: int) -> Span | None:
        assert self._first is not None
        span = self._span(end, self._probabilities)
        self._free = max(end, self._first)
        self._first, self._probabilities = None, []
        return span

    def _split(self) -> Span | None:
        """Cut where speech is least probable of late; the rest goes on as the next utterance."""
        behind = len(self._probabilities)
        candidates = range(max(1, behind - SEARCH), behind - MARGIN)
        cut = min(candidates, key=lambda index: self._probabilities[index])
        span = self._span(self._heard + cut, self._probabilities[:cut])
        self._first = self._free = self._heard = self._heard + cut
        self._probabilities = self._probabilities[cut:]
        return span

    def _span(self, end: int, probabilities: list[float]) -> Span | None:
        """None when there is too little speech in it to be any."""
        assert self._first is not None
        spoken = sum(probability > SPEECH for probability in probabilities)
        return Span(self._first, end) if spoken >= LEAST_SPEECH else None
