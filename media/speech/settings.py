"""What an operator may set about speech recognition. The defaults work offline on two cores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]  # as Whisper writes them, mostly ISO 639-1


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
    threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Cores that a transcript may use. More gain little on a small model, and calls go on beside it",
    )
    beam_size: int = Field(
        default=3, ge=1, le=10, description="Wordings followed at once: one is a little faster and makes more mistakes"
    )
