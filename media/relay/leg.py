"""One peer connection as signalling sees it: the transport, and what SDP has said about it so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from media.relay.sdp import Description, Fingerprint, SdpError
from media.relay.sections import LocalTransport
from media.relay.transport.dtls import DtlsError
from media.relay.transport.peer import SctpOffer, TransportObserver


class Transport(Protocol):
    """`PeerTransport`, as far as it is used here."""

    @property
    def session(self) -> int: ...

    @property
    def ufrag(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def fingerprint(self) -> tuple[str, str]: ...

    def restart_ice(self) -> None: ...

    def start(self, *, remote_fingerprint: tuple[str, str], remote_setup: str, sctp: SctpOffer | None) -> None: ...

    def open_channel(self, label: str, *, ordered: bool, max_retransmits: int | None) -> None: ...

    def send(self, label: str, payload: bytes) -> bool: ...

    def buffered(self, label: str) -> int: ...

    async def close(self) -> None: ...


class LegOwner(Protocol):
    """Who is told what happens on a leg."""

    def leg_connected(self, leg: Leg) -> None: ...

    def leg_closed(self, leg: Leg, reason: str) -> None: ...

    def channel_opened(self, leg: Leg, label: str) -> None: ...

    def channel_message(self, leg: Leg, label: str, payload: bytes) -> None: ...


class Leg:
    """Owned by a `Connection`. `connected` stays true until the transport closes, which is for good."""

    def __init__(
        self,
        owner: LegOwner,
        make_transport: Callable[[TransportObserver], Transport],
        candidates: Callable[[], tuple[str, ...]],
    ) -> None:
        self._owner = owner
        self._candidates = candidates
        self._version = 0
        self._remote: Fingerprint | None = None
        self._remote_ufrag = ""
        self.connected = False
        self.closed = False
        self.transport = make_transport(self)

    def next_version(self) -> int:
        """Of our next description in this peer connection."""
        self._version += 1
        return self._version

    def local(self) -> LocalTransport:
        transport = self.transport
        return LocalTransport(
            transport.ufrag, transport.password, Fingerprint(*transport.fingerprint), self._candidates()
        )

    def take_remote(self, description: Description, *, offer: bool) -> None:
        """Note the peer's transport. An offer with new ICE credentials asks for an ICE restart (RFC 8839 section 4.4).

        Raises `SdpError`: another certificate would be another peer.
        """
        fingerprint = description.fingerprint
        if self._remote is not None and self._remote != fingerprint:
            raise SdpError("the certificate changed")
        setup = description.setup
        if setup == ("passive" if offer else "actpass"):
            raise SdpError("we are the DTLS server")
        application = description.application
        sctp = None
        if application is not None and not application.rejected:
            sctp = SctpOffer(application.sctp_port, application.max_message_size)
        if offer and self._remote is not None and description.ufrag != self._remote_ufrag:
            self.transport.restart_ice()
        self._remote, self._remote_ufrag = fingerprint, description.ufrag
        try:
            self.transport.start(
                remote_fingerprint=(fingerprint.algorithm, fingerprint.value), remote_setup="active", sctp=sctp
            )
        except DtlsError as error:
            raise SdpError(str(error)) from error

    # -- TransportObserver

    def transport_connected(self) -> None:
        self.connected = True
        self._owner.leg_connected(self)

    def transport_closed(self, reason: str) -> None:
        self.connected = False
        self.closed = True
        self._owner.leg_closed(self, reason)

    def channel_opened(self, label: str) -> None:
        self._owner.channel_opened(self, label)

    def channel_message(self, label: str, payload: bytes) -> None:
        self._owner.channel_message(self, label, payload)
