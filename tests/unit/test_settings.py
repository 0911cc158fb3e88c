"""Settings say what is wrong with them, and refuse secrets that are none."""

import secrets as random
from pathlib import Path
from typing import Any

import pytest
import yaml

from palabre.settings import Settings, SettingsError, load


def document(tmp_path: Path, **changes: Any) -> dict[str, Any]:
    return {
        "server_name": "example.org",
        "homeserver_url": "http://127.0.0.1:8008",
        "public_url": "https://meet.example.org",
        "data_directory": str(tmp_path),
        "secrets": {
            "as_token": random.token_hex(32),
            "hs_token": random.token_hex(32),
            "livekit_api_secret": random.token_hex(32),
            "master_key": random.token_hex(32),
        },
    } | changes


def write(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / "palabre.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def load_document(tmp_path: Path, content: dict[str, Any], *, dev: bool = False) -> Settings:
    return load(write(tmp_path, content), dev=dev)


def test_a_complete_file_loads_and_the_database_defaults_to_the_data_directory(tmp_path: Path) -> None:
    settings = load_document(tmp_path, document(tmp_path))
    assert settings.database_url == f"sqlite:///{tmp_path}/palabre.db"


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="publik_url: no such setting"):
        load_document(tmp_path, document(tmp_path, publik_url="https://x"))


def test_an_unknown_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALABRE_PUBLIK_URL", "https://x")
    with pytest.raises(SettingsError, match="PALABRE_PUBLIK_URL: no such setting"):
        load_document(tmp_path, document(tmp_path))


def test_the_environment_stands_above_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALABRE_PUBLIC_URL", "https://other.example.org")
    assert str(load_document(tmp_path, document(tmp_path)).public_url) == "https://other.example.org/"


@pytest.mark.parametrize("weak", ["devkey", "short-but-unusual-9731", "a" * 64, "secretsecretsecretsecretsecretsecret"])
def test_a_known_short_or_repetitive_secret_is_refused_outside_dev(tmp_path: Path, weak: str) -> None:
    content = document(tmp_path)
    content["secrets"]["livekit_api_secret"] = weak
    with pytest.raises(SettingsError, match=r"secrets\.livekit_api_secret"):
        load_document(tmp_path, content)
    assert load_document(tmp_path, content, dev=True)


def test_the_same_token_for_both_sides_is_refused(tmp_path: Path) -> None:
    content = document(tmp_path)
    content["secrets"]["hs_token"] = content["secrets"]["as_token"]
    with pytest.raises(SettingsError, match="are the same"):
        load_document(tmp_path, content)


def test_a_secret_may_stand_in_a_file_but_not_in_both_places(tmp_path: Path) -> None:
    content = document(tmp_path)
    token = content["secrets"].pop("as_token")
    (tmp_path / "as_token").write_text(token + "\n")
    content["secrets"]["as_token_file"] = str(tmp_path / "as_token")
    assert load_document(tmp_path, content).secrets.as_token.get_secret_value() == token
    content["secrets"]["as_token"] = token
    with pytest.raises(SettingsError, match="must not be set together"):
        load_document(tmp_path, content)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="palabre init"):
        load(tmp_path / "nothing.yaml", dev=False)
