"""The ways into a call from networks as they are: IPv6, no UDP, a slow TCP connection, TURN, an address behind a NAT.

Clients are LiveKit's Python SDK in networks of their own; which way their media take is read where the relay sends.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from aioice.stun import TransactionFailed
from aioice.turn import create_turn_endpoint
from pydantic import SecretStr

from media.relay.ice_servers import ice_servers
from media.relay.settings import Turn
from media.relay.transport.ports import UdpPath
from media.relay.transport.tcp import TcpPath
from tests.support.links import turn
from tests.support.links.call import ROOM, Call, call, keep, person
from tests.support.links.model import PERFECT, Profile, Step
from tests.support.links.network import RELAY, network
from tests.support.relay import running_relay

pytestmark = [pytest.mark.long, pytest.mark.alone]
both_modes = pytest.mark.parametrize("single", [False, True], ids=["dual", "single"])

BOTH = {"ann": "ben", "ben": "ann"}


async def meet(bad: Call, *, single: bool, **order: Any) -> None:
    """Both join, and hear and see each other."""
    await bad.join(single=single, **order)
    for one, tone in zip(bad.people.values(), (440, 880), strict=True):
        await one.ask("publish", tone=tone, picture=True)
    for name, other in BOTH.items():
        await bad.people[name].hears(other)
        await bad.people[name].sees(other)


def ways(bad: Call) -> set[tuple[type, str]]:
    """By what and to which address the relay sends."""
    return {(type(path), path.address[0]) for path in bad.relay.control.ports._selected.values()}


@both_modes
async def test_clients_that_have_only_ipv6_are_in_the_call(single: bool) -> None:
    async with call("ann", "ben", at=RELAY[1]) as bad:
        for leg in bad.legs.values():
            leg.namespace.configure(f"addr del {leg.addresses(leg.host)[0]}/24 dev eth0")
        await meet(bad, single=single)
        assert ways(bad) == {(UdpPath, leg.addresses(leg.host)[1]) for leg in bad.legs.values()}


@both_modes
async def test_clients_of_both_families_share_a_room(single: bool) -> None:
    async with call("ann", "ben") as bad:
        ann, ben = bad.legs.values()
        ben.namespace.configure(f"addr del {ben.addresses(ben.host)[1]}/64 dev eth0")
        await meet(bad, single=single)
        families = {":" in address for _, address in ways(bad)}
        assert (UdpPath, ben.addresses(ben.host)[0]) in ways(bad), families
        assert ways(bad) & {(UdpPath, address) for address in ann.addresses(ann.host)}


@both_modes
async def test_a_network_without_udp_is_no_obstacle(single: bool) -> None:
    async with call("ann", "ben") as bad:
        await bad.legs["ann"].let_udp_pass(False)
        await meet(bad, single=single)
        assert {kind for kind, address in ways(bad) if address in bad.legs["ann"].addresses(2)} == {TcpPath}
        assert {kind for kind, address in ways(bad) if address in bad.legs["ben"].addresses(2)} == {UdpPath}


async def test_a_slow_tcp_connection_does_not_pile_up_the_past() -> None:
    """What a full connection can't take is dropped while it is new, so that what comes then is not late."""
    squeeze = [Step(0, Profile(rate=300_000, queue=1.0)), Step(15, PERFECT)]
    async with call("ann", "ben") as bad:
        await bad.legs["ben"].let_udp_pass(False)
        await meet(bad, single=True)
        began = await bad.legs["ben"].follow(down=squeeze)
        await asyncio.sleep(15)
        freed = time.monotonic()
        await bad.people["ben"].hears("ann")
        await bad.people["ben"].sees("ann")
        back = time.monotonic() - freed
        heard = await bad.people["ben"].ask("heard", of="ann", since=began)
        trace = await bad.legs["ben"].report()
        dropped = bad.relay.control.ports.drops()["tcp_slow"]
    keep(
        "tcp-squeezed-single",
        began=began,
        leg=trace,
        figures={
            "sound and pictures again after": f"{back:.1f} s",
            "longest gap": f"{heard['gap']:.1f} s",
            "dropped": dropped,
        },
    )
    assert back < 6


@both_modes
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_turn_carries_a_call(single: bool, protocol: str, tmp_path: Path) -> None:
    url = f"turn:{turn.ADDRESS}:{turn.PORT}?transport={protocol}"
    settings = {"urls": (url,), "secret": turn.SECRET, "force": True}
    async with call("ann", "ben", turn=settings) as bad, turn.coturn(bad.net, tmp_path):
        for leg in bad.legs.values():
            await leg.let_udp_pass(protocol == "udp")
        await meet(bad, single=single)
        assert ways(bad) == {(UdpPath, turn.ADDRESS)}


async def test_turn_credentials_end_and_go_over_tls(tmp_path: Path) -> None:
    settings = Turn(urls=("turns:turn.example.org",), secret=SecretStr(turn.SECRET), lifetime=60)

    async def allocate(now: float, transport: str, trusted: ssl.SSLContext | bool) -> str:
        given = ice_servers(settings, "PA_ann", now)[0]
        with ann.entered():
            relayed, _ = await create_turn_endpoint(
                asyncio.DatagramProtocol,
                (turn.ADDRESS, turn.TLS_PORT if trusted else turn.PORT),
                given.username,
                given.credential,
                transport=transport,
                ssl=trusted,
            )
        address = relayed.get_extra_info("sockname")[0]
        relayed.close()
        return str(address)

    async with network("ann") as net, turn.coturn(net, tmp_path) as certificate:
        ann = net.legs["ann"].namespace
        tls = ssl.create_default_context(cafile=certificate)
        tls.check_hostname = False  # it is reached by its address
        for transport, trusted in (("udp", False), ("tcp", False), ("tcp", tls)):
            assert await allocate(time.time(), transport, trusted) == turn.ADDRESS
            with pytest.raises(TransactionFailed, match="401"):
                await allocate(time.time() - 61, transport, trusted)


async def test_a_relay_behind_a_nat_is_reached_at_the_address_that_a_stun_server_sees(tmp_path: Path) -> None:
    async with network("office") as net, turn.coturn(net, tmp_path):
        office = net.legs["office"]
        await office.rebind()
        inner, outer = office.addresses(office.host)[0], office.addresses(office.seen)[0]
        net.relay.configure("addr add 10.77.1.1/32 dev leg1")  # where Ann is: out in the world
        settings: dict[str, Any] = {"host": "0.0.0.0", "stun": f"{turn.ADDRESS}:{turn.PORT}"}
        async with (
            running_relay(at=inner, network=office.namespace.entered(), **settings) as relay,
            person("ann", net.relay) as ann,
        ):
            told = [line.split()[4] for line in relay.control.ports.candidates() if " udp " in line]
            assert told[0] == outer
            url = relay.url.replace(inner, outer)
            await ann.ask("join", url=url, token=relay.token("ann", ROOM), single=True)
            assert {path.address[0] for path in relay.control.ports._selected.values()} == {"10.77.1.1"}
