"""`palabre homeservers` on a database of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from palabre.cli import app
from palabre.initialise import InitialFacts, initial_document

LIST = """
homeservers:
  - ministry.example
  - name: defence.example
    may: join
    note: by the gateway
    address: https://gateway.example:8448
    fingerprint: "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99"
    signing_key: ed25519:a_1 aLBj9doCH+cKBFG6HWCH+lnosZ/iX924V+aenoqwYdQ
  - {name: evil.example, may: refuse}
"""


@pytest.fixture
def palabre(tmp_path: Path) -> Any:
    document = initial_document(
        InitialFacts("example.org", "http://127.0.0.1:1", "https://meet.example.org", tmp_path / "data", language="en")
    )
    config = tmp_path / "palabre.yaml"
    (tmp_path / "data").mkdir()

    def run(*words: str, **settings: Any) -> Result:
        config.write_text(yaml.safe_dump(document | settings))
        return CliRunner().invoke(app, ["homeservers", *words, "--config", str(config)])

    return run


def rows(result: Result) -> dict[str, dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.output)}


def test_the_own_server_is_listed_from_the_start(palabre) -> None:
    table = palabre("list")
    assert table.exit_code == 0, table.output
    assert table.output.splitlines()[0].startswith("SERVER")
    assert rows(palabre("list", "--json"))["example.org"]["state"] == "own"


def test_a_server_is_allowed_refused_and_allowed_again(palabre) -> None:
    assert rows(palabre("allow", "other.example", "--json"))["other.example"]["may"] == "join"
    assert rows(palabre("allow", "other.example", "--may", "open", "--json"))["other.example"]["may"] == "open"
    refused = palabre("deny", "other.example", "--note", "spam")
    assert "may not come in any more" in refused.output
    row = rows(palabre("list", "--json"))["other.example"]
    assert (row["state"], row["may"], row["note"], row["decided"]) == ("refused", "refuse", "spam", True)


def test_a_list_is_taken_whole_with_its_addresses_and_keys(palabre, tmp_path: Path) -> None:
    source = tmp_path / "list.yaml"
    source.write_text(LIST)
    closed = {"homeservers": {"closed": True}}
    palabre("add", "--from", str(source), **closed)
    listed = rows(palabre("list", "--json", **closed))
    assert {name: row["may"] for name, row in listed.items()} == {
        "example.org": "open",
        "ministry.example": "open",
        "defence.example": "join",
        "evil.example": "refuse",
    }
    assert listed["defence.example"]["address"] == "https://gateway.example:8448"
    assert listed["defence.example"]["fingerprint"] == "aabbccddeeff00112233445566778899" * 2
    assert listed["defence.example"]["signing_key"].startswith("ed25519:a_1 ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- {name: a.example, mya: join}", "entry 1 (a.example) has mya"),
        ("- {name: a.example, may: perhaps}", "open, join or refuse"),
        ("- {name: 2130706433}", "entry 1 has no name"),
        ("- {name: '2130706433'}", "is no server name"),
        ("- {name: a.example, fingerprint: abc, address: 'https://a.example'}", "64 hexadecimal digits"),
        ("- {name: a.example, fingerprint: abc}", "needs an address"),
        ("- {name: a.example, address: 'https://a.example', authority: nonsense}", "no certificate"),
        ("- {name: a.example, signing_key: secret}", "ed25519:ID KEY"),
        ("- {name: a.example, address: 'https://user@a.example'}", "https://host"),
        ("just: text", "a list of homeservers"),
        ("- [", "can't be used"),
    ],
)
def test_a_list_with_a_mistake_changes_nothing_and_says_where(palabre, tmp_path: Path, text: str, said: str) -> None:
    source = tmp_path / "list.yaml"
    source.write_text(f"- good.example\n{text}" if text.startswith("-") else text)
    result = palabre("add", "--from", str(source))
    assert result.exit_code == 1
    assert said in result.output.replace("entry 2", "entry 1")
    assert "good.example" not in rows(palabre("list", "--json"))


def test_what_cannot_be_done_is_said_in_a_sentence(palabre) -> None:
    for words, said in (
        (("deny", "example.org"), "your own homeserver"),
        (("allow", "0x7f.1"), "is no server name"),
        (("allow", "a.example", "--may", "refuse"), "palabre homeservers deny"),
        (("add",), "Give either"),
    ):
        result = palabre(*words)
        assert (result.exit_code, said in result.output) == (1, True), result.output


def test_a_check_of_a_server_that_is_not_listed_in_a_closed_federation_asks_nobody(palabre) -> None:
    result = palabre("check", "other.example", homeservers={"closed": True})
    assert result.exit_code == 1
    assert "not on its list" in result.output
