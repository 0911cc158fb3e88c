"""What an operator may set about speech recognition. The defaults work offline on two cores."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]  # as Whisper writes them, mostly ISO 639-1


def _spare_threads() -> int:
    """Two at most: more gains little on a small model, and calls go on while a transcript is made."""
    return min(2, os.cpu_count() or 1)


class SpeechSettings(BaseModel):
    """The section `speech`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    languages: tuple[Language, ...] = Field(
        default=("fr", "de", "en"),
        min_length=1,
        description="What is spoken in meetings; among these the language of each utterance is chosen",
    )
    model: str = Field(
        default="",
        description="Folder or hub name of a faster-whisper model (`small`, `large-v3-turbo`); empty: the one of the "
        "extra `palabre[models]`",
    )
    model_cache: Path | None = Field(
        default=None, description="Where the model of the extra is put together; default: palabre/ in the user's cache"
    )
    threads: int = Field(default_factory=_spare_threads, ge=1, le=64, description="Cores that a transcript may use")
    beam_size: int = Field(
        default=3, ge=1, le=10, description="Wordings followed at once: fewer is faster, more a little better"
    )
