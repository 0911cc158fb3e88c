"""The homeserver that tests and the demonstration stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from palabre.demo.homeserver import Homeserver, HomeserverError
from tests.support.synapse import unique_name


def test_a_registered_user_is_logged_in(homeserver: Homeserver) -> None:
    account = homeserver.register(unique_name("alice"))
    who = homeserver.request("GET", "/_matrix/client/v3/account/whoami", token=account.access_token)
    assert who["user_id"] == account.user_id
    assert who["device_id"] == account.device_id


def test_users_keep_their_session_over_a_restart(new_homeserver) -> None:
    server = new_homeserver(federation=True)
    server.start()
    account = server.register("alice")
    server.stop()
    server.start()
    assert server.request("GET", "/_matrix/client/v3/account/whoami", token=account.access_token)


def test_a_homeserver_that_cannot_start_says_why(new_homeserver) -> None:
    server = new_homeserver(extra={"listeners": [{"port": "not a port", "type": "http"}]})
    with pytest.raises(HomeserverError, match="lacking a valid 'port'"):
        server.start()


def test_it_starts_in_a_folder_named_relative_to_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Homeserver(Path("demo-data") / "synapse").running() as homeserver:
        assert homeserver.register("alice").user_id == f"@alice:{homeserver.server_name}"
