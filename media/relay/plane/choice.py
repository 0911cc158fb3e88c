"""Which packet path serves: the compiled one where it can, Python's where it must. Both do the same."""

from __future__ import annotations

import structlog

from media.relay.plane.api import Output, RtpPlane
from media.relay.plane.plane import PythonPlane
from media.relay.settings import PacketPath

log = structlog.get_logger("relay.plane")


def make_plane(path: PacketPath, output: Output) -> RtpPlane:
    """The packet path that the setting asks for. Raises `ImportError` where it is to be compiled and can't be."""
    if path is PacketPath.PYTHON:
        return PythonPlane(output)
    try:
        from media.relay.plane.compiled import CompiledPlane
    except ImportError as error:
        if path is PacketPath.COMPILED:
            raise ImportError(f"relay.packet_path is compiled, but {error}") from error
        log.warning(
            "the packet path in Python serves, at several times the processor time of the compiled one:"
            " install gcc and Python's headers, then install Palabre again",
            reason=str(error),
        )
        return PythonPlane(output)
    return CompiledPlane(output)
