"""Sockets that are handed over at the start: which are taken, which are refused."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from palabre.listening import handed_over
from palabre.settings import SettingsError

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
