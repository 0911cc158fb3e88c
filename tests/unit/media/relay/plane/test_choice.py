"""Which packet path serves."""

from __future__ import annotations

import sys

import pytest
from structlog.testing import capture_logs

from media.relay.plane.choice import make_plane
from media.relay.settings import PacketPath
from tests.support.plane import PLANES

COMPILED = "media.relay.plane.compiled"


def nowhere(_session: int, _datagram: bytes) -> None:
    """An output that nobody reads."""


def names(path: PacketPath) -> str:
    return type(make_plane(path, nowhere)).__name__


@pytest.mark.skipif(len(PLANES) == 1, reason="the compiled plane is not built")
def test_the_compiled_plane_serves_where_it_was_built():
    assert names(PacketPath.AUTO) == names(PacketPath.COMPILED) == "CompiledPlane"
    assert names(PacketPath.PYTHON) == "PythonPlane"


def test_without_it_the_python_plane_serves_and_says_so_once(monkeypatch):
    monkeypatch.setitem(sys.modules, COMPILED, None)
    with capture_logs() as logs:
        assert names(PacketPath.AUTO) == "PythonPlane"
    assert [entry["log_level"] for entry in logs] == ["warning"]
    with capture_logs() as logs:
        assert names(PacketPath.PYTHON) == "PythonPlane"
    assert logs == []


def test_whoever_insists_on_it_is_told_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, COMPILED, None)
    with pytest.raises(ImportError, match=r"relay\.packet_path is compiled, but"):
        make_plane(PacketPath.COMPILED, nowhere)


@pytest.mark.skipif(len(PLANES) == 1, reason="the compiled plane is not built")
def test_a_libsrtp_that_answers_otherwise_is_not_used(monkeypatch):
    from media.relay.plane import compiled

    monkeypatch.setattr(compiled, "_KNOWN_ANSWER", "00")
    with pytest.raises(ImportError, match="libsrtp in pylibsrtp is not the one"):
        compiled._check()
