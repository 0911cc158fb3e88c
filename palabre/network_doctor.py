"""`palabre doctor --network`: tries every way into a call as a client does, up to the answer to an ICE check.

The relay is asked for a session that only answers checks (`/rtc/reach`), so that nobody has to be in a call.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aioice import stun
from aioice.turn import create_turn_endpoint

from media.relay import tokens
from media.relay.seams import Grants
from media.relay.transport.tcp import FrameReader, frame
from palabre.base.clock import Clock, SystemClock
from palabre.network_findings import NetworkFacts, NetworkFinding, Relayed, TurnSeen, Way, examine
from palabre.settings import Settings

TIMEOUT = aiohttp.ClientTimeout(total=8)
TRIES = (0.3, 0.6, 1.2)  # seconds of waiting for each check's answer
TURN_SECONDS = 8.0  # for a TLS connection, an allocation with its two refusals, and a check
TOKEN_SECONDS = 60.0
# https://www.rfc-editor.org/rfc/rfc6455#section-1.2; without a token nothing is ever upgraded
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
Send = Callable[[bytes], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Session:
    """What `/rtc/reach` gave."""

    ufrag: str
    password: str
    candidates: tuple[tuple[str, str, int], ...]  # protocol, address, port
    servers: tuple[dict[str, Any], ...]

    def check(self) -> stun.Message:
        """RFC 8445 section 7.2.2; nominates nothing."""
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{self.ufrag}:doctor"
        message.attributes["PRIORITY"] = 1
        message.attributes["ICE-CONTROLLING"] = 1
        message.add_message_integrity(self.password.encode())
        return message


def parse_session(document: Any) -> Session:
    """Raises `ValueError` for anything else."""
    try:
        candidates = []
        for line in document["candidates"]:
            _, _, protocol, _, address, port = line.split()[:6]
            ipaddress.ip_address(address)
            candidates.append((protocol, address, int(port)))
        servers = tuple(dict(server) for server in document["ice_servers"])
        return Session(str(document["ufrag"]), str(document["password"]), tuple(candidates), servers)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError("not a session for trying the ports") from error


def parse_turn_url(url: str) -> tuple[str, int, str, bool]:
    """(host, port, transport, whether TLS) of RFC 7065. Raises `ValueError`."""
    scheme, _, rest = url.partition(":")
    if scheme not in ("turn", "turns"):
        raise ValueError("not a TURN server")
    where, _, query = rest.partition("?")
    secure = scheme == "turns"
    transport = "tcp" if secure or query == "transport=tcp" else "udp"
    parts = urlsplit(f"//{where}")
    if not parts.hostname:
        raise ValueError("a TURN server without a host")
    return parts.hostname, parts.port or (5349 if secure else 3478), transport, secure


class _Answers(asyncio.DatagramProtocol, asyncio.Protocol):
    """Waits for the answer to one check, over UDP, TCP or a TURN allocation."""

    def __init__(self, session: Session) -> None:
        self._password = session.password.encode()
        self._frames = FrameReader()
        self.request = session.check()
        self.answered = asyncio.Event()

    def datagram_received(self, data: bytes, _address: object) -> None:
        try:
            message = stun.parse_message(data)
        except (ValueError, IndexError, KeyError, TypeError):
            return
        ours = message.transaction_id == self.request.transaction_id and message.message_class == stun.Class.RESPONSE
        if ours and message.check_message_integrity(self._password):  # what else answers there is not the relay
            self.answered.set()

    def data_received(self, data: bytes) -> None:
        for datagram in self._frames.receive(data):
            self.datagram_received(datagram, None)

    async def ask(self, send: Send) -> bool:
        for wait in TRIES:
            send(bytes(self.request))
            try:
                await asyncio.wait_for(self.answered.wait(), wait)
            except TimeoutError:
                continue
            return True
        return False


async def try_way(session: Session, protocol: str, address: str, port: int) -> bool:
    """Whether a check on this candidate is answered."""
    loop = asyncio.get_running_loop()
    transport: Any
    try:
        if protocol == "udp":
            transport, answers = await loop.create_datagram_endpoint(
                lambda: _Answers(session), remote_addr=(address, port)
            )
        else:
            connecting = loop.create_connection(lambda: _Answers(session), address, port)
            transport, answers = await asyncio.wait_for(connecting, sum(TRIES))
    except (OSError, TimeoutError):
        return False
    try:
        send = transport.sendto if protocol == "udp" else lambda datagram: transport.write(frame(datagram))
        return await answers.ask(send)
    finally:
        transport.close()


async def try_turn(session: Session, url: str, username: str, credential: str) -> Relayed:
    """Whether a check through this server is answered by the relay."""
    host, port, protocol, secure = parse_turn_url(url)
    try:
        transport, answers = await asyncio.wait_for(
            create_turn_endpoint(
                lambda: _Answers(session), (host, port), username, credential, transport=protocol, ssl=secure or None
            ),
            TURN_SECONDS,
        )
    except stun.TransactionFailed:
        return Relayed.REFUSED
    except (OSError, TimeoutError, stun.TransactionTimeout):
        return Relayed.SILENT
    try:
        for kind, address, peer_port in session.candidates:
            if kind == "udp" and ":" not in address and await answers.ask(_through(transport, address, peer_port)):
                return Relayed.CARRIED
    finally:
        transport.close()
    return Relayed.BLOCKED


def _through(transport: Any, address: str, port: int) -> Send:
    return lambda datagram: transport.sendto(datagram, (address, port))


class NetworkDoctor:
    """Tries one deployment from where it runs."""

    def __init__(self, url: str, api_key: str, api_secret: str, clock: Clock) -> None:
        self._url = url
        grants = Grants(api_key, "doctor", room_list=True)
        self._token = tokens.mint(grants, api_secret, now=clock.wall(), lifetime=TOKEN_SECONDS)

    async def facts(self) -> NetworkFacts:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
            websocket = await self._status(http)
            status, session = await self._session(http)
        ways: tuple[Way, ...] = ()
        turn: tuple[TurnSeen, ...] = ()
        if session is not None:
            ways = tuple(await _all(self._way(session, *candidate) for candidate in session.candidates))
            turn = tuple(await _all(self._turn(session, *server) for server in _servers(session)))
        public = await asyncio.to_thread(_is_public, urlsplit(self._url).hostname or "")
        return NetworkFacts(self._url, websocket, status, public, ways, turn)

    async def _status(self, http: aiohttp.ClientSession) -> int:
        try:
            async with http.get(self._url + "/rtc", headers=HANDSHAKE) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0

    async def _session(self, http: aiohttp.ClientSession) -> tuple[int, Session | None]:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            async with http.get(self._url + "/rtc/reach", headers=headers) as answer:
                if answer.status != 200:
                    return answer.status, None
                return 200, parse_session(await answer.json())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, None

    @staticmethod
    async def _way(session: Session, protocol: str, address: str, port: int) -> Way:
        return Way(protocol, address, port, await try_way(session, protocol, address, port))

    @staticmethod
    async def _turn(session: Session, url: str, username: str, credential: str) -> TurnSeen:
        return TurnSeen(url, await try_turn(session, url, username, credential))


async def _all(work: Iterable[Awaitable[T]]) -> list[T]:
    return list(await asyncio.gather(*work))


def _servers(session: Session) -> list[tuple[str, str, str]]:
    """(url, username, credential) of each TURN server."""
    return [
        (url, str(server.get("username", "")), str(server.get("credential", "")))
        for server in session.servers
        for url in server.get("urls", ())
        if url.startswith(("turn:", "turns:"))
    ]


def _is_public(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return any(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_global for entry in found)


async def examine_network(settings: Settings, language: str) -> list[NetworkFinding]:
    secrets = settings.secrets
    doctor = NetworkDoctor(
        str(settings.public_url).rstrip("/"),
        secrets.livekit_api_key,
        secrets.livekit_api_secret.get_secret_value(),
        SystemClock(),
    )
    return examine(await doctor.facts(), language)
