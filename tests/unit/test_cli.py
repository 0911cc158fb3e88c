"""The command line writes working files, keeps secrets to itself and says what to do next."""

import stat
import textwrap
from pathlib import Path

import yaml
from typer.testing import CliRunner

from palabre import __version__
from palabre.cli import app
from palabre.settings import load

FACTS = [
    "--server-name",
    "example.org",
    "--homeserver-url",
    "http://127.0.0.1:8008",
    "--public-url",
    "https://meet.example.org",
]


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def init(tmp_path: Path) -> Path:
    config = tmp_path / "palabre.yaml"
    code, output = run("init", *FACTS, "--config", str(config), "--data-directory", str(tmp_path / "data"))
    assert code == 0, output
    return config


def test_version_prints_the_version() -> None:
    assert run("version") == (0, f"palabre {__version__}\n")


def test_init_writes_settings_that_load_without_dev_and_that_only_their_owner_reads(tmp_path: Path) -> None:
    config = init(tmp_path)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    settings = load(config, dev=False)
    assert settings.server_name == "example.org"


def test_init_says_what_makes_call_buttons_find_the_focus(tmp_path: Path) -> None:
    facts = ["init", *FACTS, "--config", str(tmp_path / "palabre.yaml"), "--data-directory", str(tmp_path / "data")]
    _, output = run(*facts)
    start, end = output.index("matrix_rtc:"), output.index("  3. palabre serve")
    lines = yaml.safe_load(textwrap.dedent(" " * 7 + output[start:end]))
    (transport,) = lines["matrix_rtc"]["transports"]
    assert transport["livekit_service_url"].endswith("/livekit/jwt")
    assert lines["extra_well_known_client_content"]["org.matrix.msc4143.rtc_foci"] == [transport]


def test_init_does_not_overwrite_secrets(tmp_path: Path) -> None:
    config = init(tmp_path)
    before = config.read_text()
    code, output = run("init", *FACTS, "--config", str(config))
    assert code == 1
    assert "exists already" in output
    assert config.read_text() == before


def test_two_inits_share_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = (yaml.safe_load(init(tmp_path / name).read_text())["secrets"] for name in ("a", "b"))
    assert all(first[name] != second[name] for name in first if name != "livekit_api_key")


def test_registration_names_the_bot_and_carries_the_tokens_of_the_settings(tmp_path: Path) -> None:
    config = init(tmp_path)
    output = tmp_path / "registration.yaml"
    code, said = run("registration", "--config", str(config), "--output", str(output))
    assert code == 0
    assert "app_service_config_files" in said
    document = yaml.safe_load(output.read_text())
    assert document["as_token"] == load(config, dev=False).secrets.as_token.get_secret_value()
    assert document["as_token"] not in said
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert any("@palabre" in user["regex"] for user in document["namespaces"]["users"])
    assert document["io.element.msc4190"] is True


def test_a_bad_url_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    config = tmp_path / "palabre.yaml"
    facts = [*FACTS[:-1], "meet.example.org"]
    code, output = run("init", *facts, "--config", str(config))
    assert code == 1
    assert "public_url" in output
    assert not config.exists()


def test_serving_without_settings_says_how_to_get_some(tmp_path: Path) -> None:
    code, output = run("serve", "--config", str(tmp_path / "none.yaml"))
    assert code == 1
    assert "palabre init" in output


def test_there_is_no_recovery_key_before_the_first_start(tmp_path: Path) -> None:
    config = init(tmp_path)
    (tmp_path / "data").mkdir()
    code, output = run("recovery-key", "--config", str(config))
    assert code == 1
    assert "first starts" in output


def test_consents_are_exported_of_a_call_or_a_room_that_is_known(tmp_path: Path) -> None:
    config = init(tmp_path)
    (tmp_path / "data").mkdir()
    for wanted in ((), ("--call", "a", "--room", "!b:example.org")):
        code, output = run("consents", "export", "--config", str(config), *wanted)
        assert (code, output) == (1, "Name either a call (--call) or a room (--room).\n")
    code, output = run("consents", "export", "--config", str(config), "--room", "!b:example.org")
    assert (code, output) == (1, "No call was ever held in the room !b:example.org.\n")
    code, output = run("consents", "export", "--config", str(config), "--call", "unknown")
    assert (code, output) == (1, "There is no call unknown in the database.\n")
