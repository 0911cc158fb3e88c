"""How homeservers are found: a real DNS server and real TLS sockets on the loopback address.

https://spec.matrix.org/v1.16/server-server-api/#resolving-server-names
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from appservice.federation.client import FAILED_SECONDS, NotListedError, Pinned
from appservice.federation.names import ServerName
from palabre.base.errors import PeerError
from palabre.base.http import OutboundFailedError, OutboundRefusedError
from tests.support.internet import Internet, answering, internet, missing

PATH = "/_matrix/federation/v1/version"
VERSION = answering({"server": {"name": "Synapse", "version": "1.163"}})


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Internet]:
    async with internet(tmp_path) as made:
        yield made


def delegating(to: object, **headers: str):
    return answering({"m.server": to}, headers=headers)


async def test_a_well_known_file_leads_to_another_machine_whose_name_the_certificate_must_have(net: Internet) -> None:
    await net.machine("example.org", delegating("hs.example.net:443"), 443)
    await net.machine("hs.example.net", VERSION, 443)
    answer = await net.client().get("example.org", PATH)
    assert answer.status == 200
    assert net.asked == [
        ("example.org", "example.org", "/.well-known/matrix/server"),
        ("hs.example.net", "hs.example.net:443", PATH),
    ]


async def test_a_delegated_name_without_a_port_is_found_by_its_srv_record(net: Internet) -> None:
    await net.machine("example.org", delegating("matrix.example.org"), 443)
    await net.machine("one.hosting.example", VERSION, 8448, certificate="matrix.example.org")
    net.name("_matrix-fed._tcp.matrix.example.org", "SRV", ["10 5 8448 one.hosting.example."])
    assert (await net.client().get("example.org", PATH)).status == 200
    assert net.asked[-1] == ("one.hosting.example", "matrix.example.org", PATH)
    assert ("_matrix._tcp.matrix.example.org", "SRV") not in net.dns.asked


@pytest.mark.parametrize("service", ["_matrix-fed", "_matrix"])
async def test_without_a_well_known_file_the_srv_records_of_the_name_count(net: Internet, service: str) -> None:
    await net.machine("example.org", missing, 443)
    await net.machine("one.hosting.example", VERSION, 8448, certificate="example.org")
    net.name(f"{service}._tcp.example.org", "SRV", ["10 5 8448 one.hosting.example."])
    assert (await net.client().get("example.org", PATH)).status == 200
    assert net.asked[-1] == ("one.hosting.example", "example.org", PATH)


async def test_without_any_of_it_port_8448_of_the_name_is_asked(net: Internet) -> None:
    await net.machine("example.org", VERSION, 8448)
    assert (await net.client().get("example.org", PATH)).status == 200
    assert net.asked == [("example.org", "example.org", PATH)]


@pytest.mark.parametrize("text", ["127.0.0.1:{}", "localhost:{}"])
async def test_a_name_with_a_port_is_taken_at_its_word(net: Internet, text: str) -> None:
    port = await net.machine("localhost", VERSION, certificate="localhost")
    assert (await net.client().get(text.format(port), PATH)).status == 200
    assert net.asked == [("localhost", text.format(port), PATH)]
    assert all(kind != "SRV" for _, kind in net.dns.asked)


async def test_a_certificate_for_the_machine_instead_of_the_server_is_refused(net: Internet) -> None:
    await net.machine("example.org", missing, 443)
    await net.machine("one.hosting.example", VERSION, 8448)
    net.name("_matrix-fed._tcp.example.org", "SRV", ["10 5 8448 one.hosting.example."])
    with pytest.raises(OutboundFailedError, match="certificate"):
        await net.client().get("example.org", PATH)
    assert [asked for asked in net.asked if asked[0] == "one.hosting.example"] == []


async def test_the_next_record_is_tried_when_the_first_machine_is_down(net: Internet) -> None:
    await net.machine("example.org", missing, 443)
    await net.machine("two.hosting.example", VERSION, 8448, certificate="example.org")
    net.name("down.hosting.example", "A", ["127.0.0.1"])
    net.ports["down.hosting.example", 8448] = 1
    records = ["20 5 8448 two.hosting.example.", "10 5 8448 down.hosting.example."]
    net.name("_matrix-fed._tcp.example.org", "SRV", records)
    assert (await net.client().get("example.org", PATH)).status == 200


async def test_a_domain_that_says_it_has_no_server_is_believed(net: Internet) -> None:
    await net.machine("example.org", missing, 443, 8448)
    net.name("_matrix-fed._tcp.example.org", "SRV", ["0 0 0 ."])
    with pytest.raises(OutboundFailedError, match="no such server"):
        await net.client().get("example.org", PATH)


async def test_what_was_found_is_remembered_as_long_as_the_file_says(net: Internet) -> None:
    await net.machine("example.org", delegating("hs.example.net:443", **{"Cache-Control": "max-age=7200"}), 443)
    await net.machine("hs.example.net", VERSION, 443)
    client = net.client()
    for _ in range(3):
        await client.get("example.org", PATH)
    net.clock.advance(7000)
    await client.get("Example.ORG", PATH)
    assert sum(path.startswith("/.well-known") for _, _, path in net.asked) == 1
    net.clock.advance(300)
    await client.get("example.org", PATH)
    assert sum(path.startswith("/.well-known") for _, _, path in net.asked) == 2


async def test_a_name_that_leads_nowhere_is_asked_for_once_a_minute_however_many_ask(net: Internet) -> None:
    await net.machine("example.org", missing, 443)
    client = net.client()

    async def ask() -> None:
        with pytest.raises(OutboundFailedError):
            await client.get("example.org", PATH)

    await asyncio.gather(*(ask() for _ in range(50)))
    await ask()
    assert len(net.asked) == 1
    asked = len(net.dns.asked)
    net.clock.advance(FAILED_SECONDS + 1)
    await ask()
    assert len(net.dns.asked) > asked


async def test_a_name_server_that_fails_does_not_hide_a_server_on_port_8448(net: Internet) -> None:
    port = await net.machine("example.org", VERSION, 8448)
    client = net.client()
    net.dns.broken = True
    with pytest.raises(OutboundFailedError):
        await client.get("example.org", PATH)
    net.dns.broken = False
    net.clock.advance(FAILED_SECONDS + 1)
    assert (await client.get("example.org", PATH)).status == 200
    assert port


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "0x7f.1", "2130706433", "localhost.", "10.0.0.1:443", "bücher.example"],
)
async def test_names_of_this_machine_and_its_network_are_never_asked(net: Internet, text: str) -> None:
    await net.machine("localhost", VERSION, 443, 8448)
    with pytest.raises(OutboundRefusedError):
        await net.client(allow_private=False).get(text, PATH)
    assert net.asked == []


@pytest.mark.parametrize("port", [22, 25, 5432])
async def test_ports_that_are_nobodys_homeserver_are_not_called(net: Internet, port: int) -> None:
    net.name("example.org", "A", ["192.0.2.1"])
    client = net.client(allow_private=False)
    with pytest.raises(OutboundRefusedError, match=f"port {port}"):
        await client.get(f"example.org:{port}", PATH)
    net.name("_matrix-fed._tcp.other.example", "SRV", [f"0 0 {port} example.org."])
    with pytest.raises(OutboundRefusedError, match=f"port {port}"):
        await client.get("other.example", PATH)


async def test_srv_records_and_well_known_files_that_lead_into_our_network_lead_nowhere(net: Internet) -> None:
    await net.machine("inside.example", VERSION, 443, 8448)
    net.name("_matrix-fed._tcp.one.example", "SRV", ["0 0 8448 inside.example."])
    await net.machine("two.example", delegating("inside.example"), 443)
    for name in ("one.example", "two.example", "inside.example"):
        with pytest.raises(OutboundRefusedError, match="private network"):
            await net.client(allow_private=False).get(name, PATH)
    assert net.asked == []


async def test_a_well_known_file_that_redirects_into_our_network_is_not_followed(net: Internet, monkeypatch) -> None:
    async def away(_request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("https://inside.example/.well-known/matrix/server")

    await net.machine("inside.example", delegating("inside.example"), 443)
    await net.machine("example.org", away, 443)
    client = net.client(allow_private=False)
    refuse = client._http._rules.refuse_address  # the first machine of this test is to count as public
    monkeypatch.setattr(type(client._http._rules), "refuse_address", _once_public(refuse))
    with pytest.raises(PeerError):
        await client.get("example.org", PATH)
    assert {machine for machine, _, _ in net.asked} == {"example.org"}


def _once_public(refuse):
    calls = iter([None])
    return lambda self, text: next(calls, refuse(text))


async def test_a_name_that_changes_from_public_to_private_gains_nothing(net: Internet) -> None:
    await net.machine("example.org", VERSION, 443, 8448)
    net.name("example.org", "A", ["192.0.2.7"], ["127.0.0.1"])
    client = net.client(allow_private=False)
    with pytest.raises(OutboundRefusedError):
        await client.get("example.org", PATH)
    assert net.asked == []
    assert net.dns.asked.count(("example.org", "A")) >= 2  # the well-known file, then port 8448


async def test_five_redirects_are_too_many_and_the_server_is_asked_at_its_own_name(net: Internet) -> None:
    async def round_and_round(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/.well-known"):
            raise web.HTTPFound(f"/.well-known/matrix/server/{len(net.asked)}")
        return web.json_response({})

    await net.machine("example.org", round_and_round, 443, 8448)
    assert (await net.client().get("example.org", PATH)).status == 200
    assert len(net.asked) == 5  # the file, three redirects, the server


async def test_a_server_whose_web_server_hangs_is_found_all_the_same(net: Internet, monkeypatch) -> None:
    monkeypatch.setattr("appservice.federation.client.WELL_KNOWN_PATIENCE", 0.05)

    over = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        if request.path.startswith("/.well-known"):
            await over.wait()
        return web.json_response({})

    await net.machine("example.org", hang, 443, 8448)
    assert (await net.client().get("example.org", PATH)).status == 200
    over.set()


class Book:
    """A closed federation: one server, at a given address."""

    def __init__(self, name: str, pinned: Pinned) -> None:
        self._name, self._pinned = name, pinned

    async def pinned(self, name: ServerName) -> Pinned | None:
        if name.key != self._name:
            raise NotListedError("not listed")
        return self._pinned


async def test_a_closed_federation_looks_nothing_up(net: Internet) -> None:
    port = await net.machine("gateway.example", VERSION, certificate="localhost")
    client = net.client(Book("ministry.example", Pinned(f"https://localhost:{port}")), allow_private=False)
    asked = len(net.dns.asked)
    with pytest.raises(NotListedError):
        await client.get("example.org", PATH)
    assert len(net.dns.asked) == asked
    net.name("localhost", "A", ["127.0.0.1"])
    assert (await client.get("Ministry.example", PATH)).status == 200
    assert {name for name, _ in net.dns.asked} == {"localhost"}
