"""A DNS server on the loopback address, for tests: `async with name_server({...}) as dns:` answers what it is told.

Real datagrams, read and written by dnspython, so that a resolver of the service sees what it would see anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

Records = dict[tuple[str, str], list[list[str]]]


@dataclass
class NameServer(asyncio.DatagramProtocol):
    """`records`: by name and type a list of answers, one look-up after the other; the last one stays."""

    records: Records
    asked: list[tuple[str, str]] = field(default_factory=list)
    silent: bool = False
    broken: bool = False
    port: int = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if self.silent:
            return
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        answers = self.records.get((name, kind))
        if self.broken:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif answers is not None:
            texts = answers.pop(0) if len(answers) > 1 else answers[0]
            if texts:
                response.answer.append(dns.rrset.from_text_list(question.name, 0, "IN", kind, texts))
        elif not any(known == name for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(response.to_wire(), address)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self._transport.close()


@asynccontextmanager
async def name_server(records: Mapping[tuple[str, str], Sequence[str] | list[list[str]]]) -> AsyncIterator[NameServer]:
    """Values are one answer (a list of texts) or a list of such answers."""
    kept: Records = {
        key: [list(map(str, one)) for one in value]
        if value and not isinstance(value[0], str)
        else [[str(text) for text in value]]
        for key, value in records.items()
    }
    server = NameServer(kept)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        server.close()
