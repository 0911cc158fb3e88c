"""The public port: handed over open by whoever starts us, as systemd's socket units do, or else opened before all else.

Connections to a listening socket wait in its queue until somebody serves it, instead of being refused. Clients of a
call are thus back with the service after a restart, not at the next step of their retry timers: livekit-client's are up
to 7 seconds apart, and its first try with a new process only learns that it must begin anew. A socket that outlives the
process bridges the whole time; one that is opened first of all, the seconds that a start takes.
Protocol: https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import MutableMapping

from palabre.settings import Listen, SettingsError

FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
BACKLOG = 1024  # connections that wait: everybody's of the calls that ran, at once
ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # `localhost` is ::1 too, also where the machine has no IPv6
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


def public_sockets(listen: Listen) -> tuple[socket.socket, ...]:
    """What was handed over to this process, or `listen` opened now. Raises `SettingsError` for the operator."""
    return handed_over(os.environ, os.getpid()) or opened(listen)


def opened(listen: Listen) -> tuple[socket.socket, ...]:
    """A listening socket for each address of `listen.host` that the machine has. Raises `SettingsError` without any."""
    sockets: list[socket.socket] = []
    absent: OSError | None = None
    try:
        found = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, *_, address in found):
            try:
                sockets.append(socket.create_server(address[:2], family=family, backlog=BACKLOG))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error
        if absent is not None and not sockets:
            raise absent
    except OSError as error:
        for one in sockets:
            one.close()
        raise SettingsError(f"listen: {listen.host} port {listen.port} can't be opened ({error.strerror})") from error
    return tuple(sockets)


def port_of(listening: socket.socket) -> int:
    """0 for a Unix socket, which a socket unit may hand over."""
    address = listening.getsockname()
    return int(address[1]) if isinstance(address, tuple) else 0
