"""The public port: which sockets are taken from a supervisor, which are opened, and what the operator is told."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from palabre.listening import handed_over, opened, port_of
from palabre.settings import Listen, SettingsError

US = 4711


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


def given(count: str = "1", process: int = US) -> dict[str, str]:
    return {"LISTEN_PID": str(process), "LISTEN_FDS": count, "LISTEN_FDNAMES": "palabre.socket", "HOME": "/srv"}


def test_a_listening_socket_is_taken_and_no_child_inherits_it(server: socket.socket) -> None:
    environment = given()
    (taken,) = handed_over(environment, US, os.dup(server.fileno()))
    with taken:
        assert taken.getsockname() == server.getsockname()
        assert not taken.get_inheritable()
    assert environment == {"HOME": "/srv"}


def test_a_unix_socket_is_taken_and_has_no_port(tmp_path: Path, server: socket.socket) -> None:
    assert port_of(server) == server.getsockname()[1]
    with socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "palabre.sock"))
        local.listen()
        (taken,) = handed_over(given(), US, os.dup(local.fileno()))
    with taken:
        assert port_of(taken) == 0


def test_sockets_for_another_process_are_not_ours(server: socket.socket) -> None:
    assert handed_over(given(process=US + 1), US, server.fileno()) == ()
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_without_a_supervisor_there_are_none() -> None:
    assert handed_over({}, US) == ()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_that_does_not_listen_is_refused_with_the_line_to_change(kind: socket.SocketKind) -> None:
    with (
        socket.socket(socket.AF_INET, kind) as other,
        pytest.raises(SettingsError, match="ListenStream= without Accept=yes"),
    ):
        handed_over(given(), US, other.fileno())


def test_what_is_no_socket_is_refused() -> None:
    reading, writing = os.pipe()
    with pytest.raises(SettingsError, match=f"File descriptor {reading} was announced as a socket"):
        handed_over(given(), US, reading)
    os.close(reading)
    os.close(writing)


def test_a_count_that_is_no_number_is_refused() -> None:
    with pytest.raises(SettingsError, match="LISTEN_FDS"):
        handed_over(given(count="many"), US)


def test_without_a_supervisor_the_port_of_the_settings_is_opened_and_connections_wait() -> None:
    (one,) = opened(Listen(host="127.0.0.1", port=0))
    with one, socket.create_connection(one.getsockname(), timeout=5.0) as waiting:
        assert waiting.getpeername() == one.getsockname()


def test_a_name_is_opened_on_those_of_its_addresses_that_the_machine_has() -> None:
    sockets = opened(Listen(host="localhost", port=0))
    assert socket.AF_INET in {one.family for one in sockets}
    for one in sockets:
        one.close()


def test_a_port_that_is_taken_is_named_to_the_operator(server: socket.socket) -> None:
    port = server.getsockname()[1]
    with pytest.raises(SettingsError, match=f"127.0.0.1 port {port} can't be opened"):
        opened(Listen(host="127.0.0.1", port=port))


def test_an_address_that_the_machine_does_not_have_is_named_to_the_operator() -> None:
    with pytest.raises(SettingsError, match=r"192\.0\.2\.1 port 8470 can't be opened"):
        opened(Listen(host="192.0.2.1", port=8470))
