"""One peer connection: ICE-lite, DTLS and SCTP tied together, and its session in the packet plane."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

import structlog

from media.relay.plane.api import RtpPlane
from media.relay.transport.association import SctpAbuseError
from media.relay.transport.dtls import DtlsCertificate, DtlsError, DtlsSession
from media.relay.transport.ice import IceAgent, Path
from media.relay.transport.ports import MediaPorts
from media.relay.transport.sctp import DataChannels
from palabre.base.clock import Clock
from palabre.base.tasks import Supervisor

log = structlog.get_logger("relay.transport")

EARLY = 8  # DTLS datagrams kept until the SDP has come: a ClientHello may overtake the answer that goes by WebSocket
HANDSHAKE_SECONDS = 30.0  # from the first path to the keys; a quarter of the packets lost costs ten
_DTLS = range(20, 64)  # first bytes, RFC 7983
_RTP = range(128, 192)


class SctpOffer(NamedTuple):
    """The `m=application` section of the peer."""

    port: int
    max_message_size: int  # bytes, 0: any


class TransportObserver(Protocol):
    """Told on the event loop, in order."""

    def transport_connected(self) -> None:
        """DTLS is done and the keys are in the plane."""
        ...

    def transport_closed(self, reason: str) -> None:
        """Once. `dtls_closed`, `dtls_failed`, `consent_lost` or `sctp_abuse`; not told after `close`."""
        ...

    def channel_opened(self, label: str) -> None: ...

    def channel_message(self, label: str, payload: bytes) -> None: ...


class PeerTransport:
    """Concurrency: datagrams are handled where they arrive, without a task; SCTP has one task per peer."""

    def __init__(
        self,
        ports: MediaPorts,
        plane: RtpPlane,
        certificate: DtlsCertificate,
        observer: TransportObserver,
        clock: Clock,
        tasks: Supervisor,
    ) -> None:
        self._ports, self._plane, self._certificate = ports, plane, certificate
        self._observer, self._clock, self._tasks = observer, clock, tasks
        self.session = ports.next_session()
        self._agent = IceAgent()
        self._dtls: DtlsSession | None = None
        self._sctp: DataChannels | None = None
        self._sctp_offer: SctpOffer | None = None
        self._server = True
        self._early: list[bytes] = []
        self._channels: list[tuple[str, bool, int | None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._over = False
        self._reached_at: float | None = None  # when the first path was proved
        self.connected = False
        plane.add_session(self.session)
        ports.add(self, self._agent.ufrag)

    @property
    def ufrag(self) -> str:
        return self._agent.ufrag

    @property
    def password(self) -> str:
        return self._agent.password

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Algorithm and value for `a=fingerprint`."""
        return self._certificate.fingerprint

    def restart_ice(self) -> None:
        """New ufrag and password; the former ones are good until the new ones are nominated."""
        before = self._agent.ufrags
        self._agent.restart()
        for ufrag in before:
            if ufrag not in self._agent.ufrags:
                self._ports.remove_ufrag(ufrag)
        self._ports.add(self, self._agent.ufrag)

    def start(self, *, remote_fingerprint: tuple[str, str], remote_setup: str, sctp: SctpOffer | None) -> None:
        """The peer's SDP is known. Later calls only add SCTP where there was none. Raises `DtlsError`."""
        if self._over:
            return
        self._sctp_offer = self._sctp_offer or sctp
        if self._dtls is None:
            self._server = remote_setup != "passive"
            self._dtls = DtlsSession(
                self._certificate, server=self._server, remote=remote_fingerprint, send=self._send_dtls
            )
            if self._agent.selected is not None:
                self._begin_dtls()
            early, self._early = self._early, []
            for datagram in early:
                self._receive_dtls(datagram)
        elif self.connected:
            self._start_sctp()

    def open_channel(self, label: str, *, ordered: bool, max_retransmits: int | None) -> None:
        """Open a data channel of our own once there is an association."""
        if self._sctp is not None:
            self._sctp.open(label, ordered=ordered, max_retransmits=max_retransmits)
        else:
            self._channels.append((label, ordered, max_retransmits))

    def send(self, label: str, payload: bytes) -> bool:
        """False: no such open channel, or its receiver is too slow."""
        return self._sctp is not None and not self._over and self._sctp.send(label, payload)

    def buffered(self, label: str) -> int:
        return 0 if self._sctp is None else self._sctp.buffered(label)

    async def close(self) -> None:
        """Say goodbye and forget everything. The observer is not told."""
        if self._over:
            return
        self._over = True
        if self._task is not None:
            self._task.cancel()
        if self._sctp is not None:
            await self._sctp.close()
        if self._dtls is not None:
            self._dtls.close()
        self._forget()

    def _forget(self) -> None:
        self.connected = False
        if self._timer is not None:
            self._timer.cancel()
        self._ports.remove(self, self._agent.ufrags, self._agent.paths)
        self._plane.remove_session(self.session)

    def _end(self, reason: str) -> None:
        """The peer or the network ended it: tell the observer, once."""
        if self._over:
            return
        self._over = True
        log.info("transport ended", transport=self.session, reason=reason)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        if self._sctp is not None:
            self._tasks.spawn("sctp close", self._sctp.close())
        if self._dtls is not None and reason == "sctp_abuse":  # the others are gone, or have withdrawn their consent
            self._dtls.close()
        self._forget()
        self._observer.transport_closed(reason)

    # -- what the ports call

    def check(self, datagram: bytes, ufrag: str, path: Path, now: float) -> bytes:
        before, ufrags = self._agent.selected, self._agent.ufrags
        answer = self._agent.check(datagram, ufrag, path, now)
        for old in ufrags:
            if old not in self._agent.ufrags:
                self._ports.remove_ufrag(old)
        for surplus in self._agent.surplus():
            self._ports.remove_path(self, surplus)
        self._ports.select(self, self._agent.selected)
        if before is None and self._reached_at is None:
            self._reached_at = now
            self._begin_dtls()
        return answer

    def receive(self, datagram: bytes, now: float) -> None:
        first = datagram[0]
        if first in _RTP:
            if self.connected:
                self._plane.receive(self.session, datagram, now)
            else:
                self._ports.drop("rtp_before_keys")
        elif first in _DTLS:
            self._receive_dtls(datagram)
        else:
            self._ports.drop("unknown_protocol")

    def holds(self, path: Path, now: float) -> bool:
        return self._agent.holds(path, now)

    def path_closed(self, path: Path) -> None:
        self._agent.forget(path)
        self._ports.select(self, self._agent.selected)

    def look(self, now: float) -> None:
        if self._agent.expired(now):
            self._end("consent_lost")
        elif not self.connected and self._reached_at is not None and now - self._reached_at > HANDSHAKE_SECONDS:
            self._end("dtls_failed")

    # -- DTLS

    def _begin_dtls(self) -> None:
        if self._dtls is not None and not self._server and not self.connected:
            self._try_dtls(self._dtls.start)

    def _send_dtls(self, datagram: bytes) -> None:
        self._ports.send(self.session, datagram)

    def _receive_dtls(self, datagram: bytes) -> None:
        if self._dtls is None:
            if len(self._early) < EARLY:
                self._early.append(datagram)
            else:
                self._ports.drop("dtls_early")
            return
        if self._over:
            return
        try:
            packets = self._dtls.receive(datagram)
        except DtlsError:
            self._end("dtls_failed")
            return
        if self._dtls.keys is not None and not self.connected:
            self._connect()
        for packet in packets:
            if self._sctp is not None:
                self._sctp.feed(packet)
        if self._dtls.closed:
            self._end("dtls_closed")
        else:
            self._arm()

    def _connect(self) -> None:
        assert self._dtls is not None
        assert self._dtls.keys is not None
        self._plane.set_keys(self.session, *self._dtls.keys)
        self.connected = True
        log.info("transport connected", transport=self.session, profile=self._dtls.keys.profile)
        self._start_sctp()
        self._observer.transport_connected()

    def _try_dtls(self, step: object) -> None:
        assert callable(step)
        try:
            step()
        except DtlsError:
            self._end("dtls_failed")
            return
        self._arm()

    def _arm(self) -> None:
        """Set the timer for the next retransmission of a handshake flight (RFC 6347 section 4.2.4)."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait = None if self._dtls is None or self._over else self._dtls.timeout()
        if wait is not None:
            self._timer = asyncio.get_running_loop().call_later(max(wait, 0.01), self._dtls_timeout)

    def _dtls_timeout(self) -> None:
        self._timer = None
        if self._dtls is not None and not self._over:
            self._try_dtls(self._dtls.retransmit)

    # -- SCTP

    def _start_sctp(self) -> None:
        if self._sctp is not None or self._sctp_offer is None or self._dtls is None:
            return
        self._sctp = DataChannels(
            self._dtls,
            server=self._server,
            port=self._sctp_offer.port,
            max_message_size=self._sctp_offer.max_message_size,
            opened=self._observer.channel_opened,
            message=self._observer.channel_message,
            drop=self._ports.drop,
            clock=self._clock,
        )
        for label, ordered, max_retransmits in self._channels:
            self._sctp.open(label, ordered=ordered, max_retransmits=max_retransmits)
        self._channels.clear()
        self._task = self._tasks.spawn("sctp", self._run_sctp(self._sctp))

    async def _run_sctp(self, channels: DataChannels) -> None:
        try:
            await channels.run()
        except SctpAbuseError as error:
            self._ports.drop("sctp_abuse")
            log.info("peer broke SCTP", transport=self.session, what=str(error))
            self._end("sctp_abuse")
