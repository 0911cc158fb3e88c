"""An ICE-lite agent: credentials, the paths that checks have proved, the one that is selected (RFC 8445, RFC 7675).

Pure: no sockets, no clock. A lite agent sends no checks; the client nominates, we answer and remember.
"""

from __future__ import annotations

import secrets
import string
from typing import Protocol

from media.relay.transport import stun

UFRAG_LENGTH = 8  # 47 bits; RFC 8839 section 5.4 wants at least 4 characters
PASSWORD_LENGTH = 24  # 142 bits; at least 22 characters
CONSENT_SECONDS = 30.0  # RFC 7675 section 5.1
HOLD_SECONDS = (
    15.0  # without a check until another session may prove itself from the same address; clients check every 5
)
MAX_PATHS = (
    16  # proved paths per session: two interfaces, IPv4 and IPv6, TCP, relays, and what a walk through town adds
)
_ALPHABET = string.ascii_letters + string.digits


class Path(Protocol):
    """One way to a peer: a UDP address or a TCP connection."""

    @property
    def address(self) -> tuple[str, int]:
        """IP address and port of the peer as it knows them: never IPv4 in IPv6's clothes."""
        ...

    def send(self, datagram: bytes) -> None:
        """Send or drop; never waits."""
        ...

    def close(self) -> None: ...


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


class IceAgent:
    """One side of one transport."""

    def __init__(self) -> None:
        self.ufrag, self.password = _random(UFRAG_LENGTH), _random(PASSWORD_LENGTH)
        self._former: tuple[str, str] | None = None
        self._nominated = False  # under the present ufrag
        self.selected: Path | None = None
        self._paths: dict[Path, float] = {}  # proved, in order of proof, and when last
        self.last_check: float | None = None

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Those that are answered: ours, and the former one until the new one is nominated."""
        return (self.ufrag,) if self._former is None else (self._former[0], self.ufrag)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(self._paths)

    def restart(self) -> None:
        """New credentials; checks under those in use are answered until one under the new nominates."""
        if self._nominated or self._former is None:
            self._former = (self.ufrag, self.password)
        self._nominated = False
        self.ufrag, self.password = _random(UFRAG_LENGTH), _random(PASSWORD_LENGTH)

    def check(self, datagram: bytes, ufrag: str, path: Path, now: float) -> bytes:
        """Answer a check that came on `path`. Raises `stun.StunError`: then nobody is answered.

        The last nomination wins, so that aggressive nomination and a change of network both work; until the first
        one, any proved path will do.
        """
        password = self.password
        if ufrag != self.ufrag:
            if self._former is None or self._former[0] != ufrag:
                raise stun.StunError("unknown ufrag")
            password = self._former[1]
        request = stun.parse_check(datagram, password)
        self.last_check = self._paths[path] = now
        if request.use_candidate:
            self.selected = path
            if ufrag == self.ufrag:
                self._former, self._nominated = None, True
        elif self.selected is None:
            self.selected = path
        return stun.success(request, path.address, password)

    def surplus(self) -> tuple[Path, ...]:
        """Forget and return the oldest paths above the limit, never the selected one."""
        extra = [path for path in self._paths if path != self.selected][: max(0, len(self._paths) - MAX_PATHS)]
        for path in extra:
            del self._paths[path]
        return tuple(extra)

    def forget(self, path: Path) -> None:
        """The path is gone (a TCP connection closed)."""
        self._paths.pop(path, None)
        if self.selected == path:
            self.selected = next(reversed(self._paths), None)

    def holds(self, path: Path, now: float) -> bool:
        """Whether the peer uses the path and has proved so lately: then it is nobody else's."""
        return self.selected == path and now - self._paths.get(path, now - HOLD_SECONDS) < HOLD_SECONDS

    def expired(self, now: float) -> bool:
        """Whether consent has run out: nobody has checked for 30 s. A session that waits for its peer has time."""
        return self.last_check is not None and now - self.last_check > CONSENT_SECONDS
