"""The public port: opened by us, or handed over already open by whoever started us, as systemd's socket units do.

A listening socket that outlives the process keeps its queue: while Palabre starts again, connections wait there instead
of being refused. Clients of a call are thus back with the service, not at the next step of their retry timers
(livekit-client's are up to 7 seconds apart, and its first try with a new process only learns that it must begin anew).
Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from aiohttp import web as http_server

from palabre.settings import Listen, SettingsError

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def handed_over(
    environment: MutableMapping[str, str], process: int, first: int = FIRST_DESCRIPTOR
) -> tuple[socket.socket, ...]:
    """The sockets meant for `process`, none without such a start. Takes the variables away: they are not for children.

    Raises `SettingsError` for what is no listening stream socket: the unit says `ListenDatagram=` or `Accept=yes`.
    """
    given = {name: environment.pop(name, "") for name in _VARIABLES}
    if given["LISTEN_PID"] != str(process):
        return ()
    if not given["LISTEN_FDS"].isdecimal():
        raise SettingsError("LISTEN_FDS must be the number of sockets that were handed over")
    return tuple(_listening(first + place) for place in range(int(given["LISTEN_FDS"])))


def _listening(descriptor: int) -> socket.socket:
    try:
        one = socket.socket(fileno=os.dup(descriptor))  # not inheritable, as PEP 446 has it
    except OSError as error:
        raise SettingsError(f"File descriptor {descriptor} was announced as a socket and is none") from error
    if one.type != socket.SOCK_STREAM or not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        one.close()
        raise SettingsError("The sockets handed over must be listening ones: ListenStream= without Accept=yes")
    os.close(descriptor)
    return one


async def open_sites(runner: http_server.AppRunner, listen: Listen, sockets: tuple[socket.socket, ...]) -> int:
    """Serve on `sockets`, or without any where the settings say. Returns the first port (0 for a Unix socket)."""
    sites: list[http_server.BaseSite] = [http_server.SockSite(runner, one) for one in sockets]
    for site in sites or [http_server.TCPSite(runner, listen.host, listen.port)]:
        await site.start()
    address = runner.addresses[0]
    return int(address[1]) if isinstance(address, tuple) else 0
