"""Questions to the Domain Name System that Python's own resolver cannot ask, through dnspython.

Server names come from strangers: one question takes `LIFETIME` seconds at most, whatever their name servers do.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Protocol

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult

from appservice.federation.resolving import Srv, SrvRecord

LIFETIME = 5.0  # seconds for an answer, all tries together: half of what a caller waits
RECORDS = 32  # of an answer that are read; a large server has a handful

log = structlog.get_logger("federation")


class SrvUnknownError(Exception):
    """No name server answered: whether there are records is not known."""


class SrvLookup(Protocol):
    async def srv(self, question: Srv) -> tuple[SrvRecord, ...]:
        """The records, none where there are none. Raises `SrvUnknownError`."""
        ...


class Dns:
    """Asks the name servers of the machine, or those of the settings: IP addresses, each with a port if need be."""

    def __init__(self, nameservers: Sequence[str] = ()) -> None:
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not nameservers)
        except dns.resolver.NoResolverConfiguration:
            log.warning("this machine has no name servers: SRV records are not found")
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        if nameservers:
            self._resolver.nameservers = [_nameserver(text) for text in nameservers]
        self._resolver.lifetime = LIFETIME

    async def srv(self, question: Srv) -> tuple[SrvRecord, ...]:
        answer = await self._resolve(f"{question.service}._tcp.{question.host}.", dns.rdatatype.SRV)
        return tuple(
            SrvRecord(each.priority, each.weight, each.port, each.target.to_text(omit_final_dot=True) or ".")
            for each in answer[:RECORDS]
        )

    async def addresses(self, host: str, kind: dns.rdatatype.RdataType) -> list[str]:
        """Addresses of a host; `kind` is A or AAAA. Raises `SrvUnknownError`."""
        return [each.address for each in (await self._resolve(f"{host.rstrip('.')}.", kind))[:RECORDS]]

    async def _resolve(self, name: str, kind: dns.rdatatype.RdataType) -> Sequence[Any]:
        if not self._resolver.nameservers:
            raise SrvUnknownError("no name servers")
        try:
            return list(await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False))
        except dns.resolver.NXDOMAIN:
            return ()
        except dns.exception.DNSException as error:
            raise SrvUnknownError(type(error).__name__) from error


class DnsResolver(AbstractResolver):
    """aiohttp's look-ups through the name servers of the settings, so that SRV records and addresses agree."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found: list[str] = []
        kinds = {socket.AF_INET: (dns.rdatatype.A,), socket.AF_INET6: (dns.rdatatype.AAAA,)}
        try:
            for kind in kinds.get(family, (dns.rdatatype.AAAA, dns.rdatatype.A)):
                found += await self._dns.addresses(host, kind)
        except SrvUnknownError as error:
            raise OSError("no name server answered") from error
        if not found:
            raise OSError("no server has that name")
        return [_result(host, address, port) for address in found]

    async def close(self) -> None:
        """Nothing stays open."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)


def _nameserver(text: str) -> dns.nameserver.Nameserver:
    """`192.0.2.1`, `192.0.2.1:5353` or `[2001:db8::1]:53`. Raises `ValueError`."""
    host, port = text, "53"
    if text.count(":") == 1 or text.startswith("["):
        host, _, port = text.rpartition(":") if not text.endswith("]") else (text, "", "53")
    return dns.nameserver.Do53Nameserver(str(ip_address(host.strip("[]"))), int(port))
