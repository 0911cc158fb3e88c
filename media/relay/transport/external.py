"""Under which address the world sees this machine, asked of a STUN server: for relays behind a NAT that keeps ports.

Asked at the start and again and again, since small sites get another address over night. Without an answer the last
one stays.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog
from aioice import stun

log = structlog.get_logger("relay.transport")

DEFAULT_PORT = 3478
TRIES = (0.5, 1.0, 2.0)  # seconds of waiting for each: RFC 8489 section 6.2.1, cut short
INTERVAL = 600.0  # seconds between two questions once there was an answer
RETRY = 30.0  # seconds, while there was none


class ExternalError(OSError):
    """Nobody told us our address."""


def parse_server(text: str) -> tuple[str, int]:
    """`host`, `host:port` or `[IPv6]:port`, with or without `stun:`. Raises `ValueError`."""
    rest = text.removeprefix("stun:")
    host, port = rest, ""
    if rest.startswith("["):
        host, _, port = rest[1:].partition("]")
        port = port.removeprefix(":")
    elif rest.count(":") == 1:
        host, _, port = rest.partition(":")
    if not host or (port and not port.isdecimal()):
        raise ValueError(f"{text} is not a STUN server: host or host:port")
    return host, int(port or DEFAULT_PORT)


class _Question(asyncio.DatagramProtocol):
    def __init__(self, transaction: bytes) -> None:
        self._transaction = transaction
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: object) -> None:
        try:
            message = stun.parse_message(data)
        except (ValueError, IndexError, KeyError, TypeError):
            return
        mapped = message.attributes.get("XOR-MAPPED-ADDRESS") or message.attributes.get("MAPPED-ADDRESS")
        right = message.transaction_id == self._transaction and message.message_class == stun.Class.RESPONSE
        if right and mapped and not self.answer.done():
            self.answer.set_result(str(mapped[0]))

    def error_received(self, _error: Exception) -> None:
        """A refusal of one try; the next may get through."""


async def ask(server: tuple[str, int]) -> str:
    """Our IPv4 address as the server sees it. Raises `ExternalError`."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    loop = asyncio.get_running_loop()
    try:
        transport, question = await loop.create_datagram_endpoint(
            lambda: _Question(request.transaction_id), remote_addr=server, family=socket.AF_INET
        )
    except OSError as error:
        raise ExternalError("the STUN server can't be reached") from error
    try:
        for wait in TRIES:
            transport.sendto(bytes(request))
            try:
                return await asyncio.wait_for(asyncio.shield(question.answer), wait)
            except TimeoutError:
                continue
    finally:
        transport.close()
    raise ExternalError("the STUN server does not answer")


class ExternalAddress:
    """Tells the address when it is known, and whenever it is another."""

    def __init__(self, server: tuple[str, int], tell: Callable[[str], None]) -> None:
        self._server = server
        self._tell = tell
        self._address = ""

    async def refresh(self) -> None:
        """Ask once. Takes a few seconds where nobody answers."""
        try:
            address = await ask(self._server)
        except ExternalError as error:
            log.warning("external address: keeping what is known", known=bool(self._address), reason=str(error))
            return
        if address != self._address:
            log.info("external address", changed=bool(self._address))
            self._address = address
            self._tell(address)

    async def run(self) -> None:
        """Ask for as long as this runs."""
        while True:
            await asyncio.sleep(INTERVAL if self._address else RETRY)
            await self.refresh()
