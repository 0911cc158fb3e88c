"""What a worker is asked to compose and what it answers: frozen, and JSON back and forth. No keys in either."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

CODECS = ("h264", "av1", "vp9")
HEIGHTS = (360, 480, 720, 1080)


@dataclass(frozen=True)
class Cut:
    """Take a person out from `start` to `end`, seconds since the epoch. The same as a `cut` event, decided later."""

    identity: str
    start: float
    end: float


@dataclass(frozen=True)
class RenderJob:
    """One film. Raises `ValueError` for what cannot be rendered.

    `capture` and `output` are directories; `output` is made, and what it holds of an earlier attempt is replaced.
    `started_at` is the film's zero and `ended_at` its end, seconds since the epoch; None: where the capture ends.
    `max_bytes` is what the room's homeserver takes per file (0: anything): the picture is made cheaper first, then the
    film is split into at most `max_parts`, then refused. `not_recorded` are names to hand through to the result.
    `gap_text` is shown where the service was away while it recorded, `notices` (sentences) on a card at the end.
    `video_codec` is a wish: what this machine's FFmpeg cannot encode is replaced by what it can.
    """

    capture: str
    output: str
    started_at: float
    ended_at: float | None = None
    title: str = ""
    height: int = 720
    frames_per_second: int = 15
    video_codec: str = "h264"
    max_bytes: int = 0
    max_parts: int = 8
    not_recorded: tuple[str, ...] = ()
    cuts: tuple[Cut, ...] = ()
    gap_text: str = ""
    notices: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.height not in HEIGHTS:
            raise ValueError(f"height is one of {HEIGHTS}")
        if not 1 <= self.frames_per_second <= 60:
            raise ValueError("frames_per_second is between 1 and 60")
        if self.video_codec not in CODECS:
            raise ValueError(f"video_codec is one of {CODECS}")
        if self.max_bytes < 0 or self.max_parts < 1:
            raise ValueError("max_bytes is not negative and max_parts at least 1")

    @property
    def width(self) -> int:
        """16:9, even."""
        return self.height * 16 // 9 // 2 * 2

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields: dict[str, Any] = json.loads(text)
        fields["cuts"] = tuple(Cut(**cut) for cut in fields.get("cuts", ()))
        for name in ("not_recorded", "notices"):
            fields[name] = tuple(fields.get(name, ()))
        return cls(**fields)


@dataclass(frozen=True)
class FilmPart:
    """A sealed MP4. `size` in the clear, bytes; `start` and `duration` in film seconds."""

    path: str
    size: int
    start: float
    duration: float


@dataclass(frozen=True)
class Poster:
    """A sealed JPEG."""

    path: str
    width: int
    height: int


@dataclass(frozen=True)
class FilmPerson:
    """Somebody in the film, and for how many seconds."""

    identity: str
    user: str
    name: str
    seconds: float


@dataclass(frozen=True)
class RenderResult:
    """`started_at` is the film's zero, seconds since the epoch; `duration` in seconds over all parts, `closing` of them
    the card at the end.

    `interrupted`: the process that captured died, the film ends where it did; `gaps` (film seconds): it died, and came
    back. `warnings`: `damaged` (journals were changed after they were written; what lies before the change is in the
    film), `undecodable` (some sound was).
    """

    parts: tuple[FilmPart, ...]
    poster: Poster
    width: int
    height: int
    started_at: float
    duration: float
    people: tuple[FilmPerson, ...]
    not_recorded: tuple[str, ...]
    interrupted: bool
    warnings: tuple[str, ...]
    gaps: tuple[tuple[float, float], ...] = ()
    closing: float = 0.0
    unreadable: tuple[str, ...] = ()  # names, of people whose media could not be decrypted for a while

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields: dict[str, Any] = json.loads(text)
        fields["unreadable"] = tuple(fields.get("unreadable", ()))
        fields["parts"] = tuple(FilmPart(**part) for part in fields["parts"])
        fields["poster"] = Poster(**fields["poster"])
        fields["people"] = tuple(FilmPerson(**person) for person in fields["people"])
        for name in ("not_recorded", "warnings"):
            fields[name] = tuple(fields[name])
        fields["gaps"] = tuple((start, end) for start, end in fields.get("gaps", ()))
        return cls(**fields)
