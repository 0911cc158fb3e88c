"""What is seen of homeservers: a real Synapse over TLS, and machines that are not what they should be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from appservice.federation.client import FAILED_SECONDS
from appservice.federation.opening import Federation, open_federation
from appservice.federation.records import Level, Pin, Record
from appservice.federation.settings import HomeserverSettings
from appservice.schema import upgrade_table
from bridge.homeserver_admin import read_pin
from palabre.base.clock import SystemClock
from palabre.base.database import Database, open_database
from palabre.demo.homeserver import Homeserver
from tests.support.internet import Internet, answering, internet, missing

Known = Callable[..., Federation]


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Internet]:
    async with internet(tmp_path) as made:
        yield made


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[Database]:
    pool, (database,) = await open_database(f"sqlite:///{tmp_path}/palabre.db", [upgrade_table])
    yield database
    await pool.stop()


@pytest.fixture
async def federation(net: Internet, tables: Database) -> Known:
    """What a service with these settings has, on the small Internet of the test."""

    def make(trust: ssl.SSLContext | None = None, **settings: object) -> Federation:
        chosen = HomeserverSettings(**({"own": "ours.example", "allow_private": True} | settings))  # type: ignore[arg-type]
        made = open_federation(
            chosen, tables, SystemClock(), resolver=net.resolver, ssl_context=trust or net.trust, srv=net.srv
        )
        net.stack.push_async_callback(made.http.close)
        return made

    return make


async def record(made: Federation, name: str) -> Record:
    found = await made.homeservers.store.get(name)
    assert found is not None
    return found


async def test_a_real_homeserver_is_seen_with_its_version_certificate_clock_and_switches(
    net: Internet, federation: Known, new_homeserver: Callable[..., Homeserver]
) -> None:
    other = new_homeserver(federation=True, extra={"experimental_features": {"msc4143_enabled": True}})
    await asyncio.to_thread(other.start)
    net.name("localhost", "A", ["127.0.0.1"])
    made = federation(ssl.create_default_context(cafile=str(other.folder / "tls.crt")))
    await made.homeservers.seen(other.server_name)
    seen = await made.watch.look(other.server_name)
    assert (seen.problem, seen.openid) == ("", True)
    assert seen.version.startswith("Synapse 1.")
    assert seen.certificate is not None
    assert seen.certificate.for_name
    assert seen.certificate.self_signed
    assert seen.certificate.expires_at > time.time()
    assert seen.clock_offset is not None
    assert abs(seen.clock_offset) < 60
    stored = await record(made, other.server_name)
    assert stored.failing_since is None
    assert stored.checked_at is not None
    assert stored.observed["version"] == seen.version
    # Gone: since when is kept, and so is what it was.
    await asyncio.to_thread(other.stop)
    made.client.forget(other.server_name)
    assert (await made.watch.look(other.server_name)).problem
    failed = await record(made, other.server_name)
    assert failed.failing_since is not None
    assert "version" in failed.observed


async def test_a_certificate_for_another_name_is_named_though_the_server_is_not_believed(
    net: Internet, federation: Known
) -> None:
    await net.machine("other.example", missing, 443)
    await net.machine("other.example", answering({"server": {}}), 8448, certificate="elsewhere.example")
    seen = await federation().watch.look("other.example")
    assert "certificate" in seen.problem
    assert seen.certificate is not None
    assert not seen.certificate.for_name
    assert "elsewhere.example" in seen.certificate.issuer


async def test_a_closed_federation_calls_the_address_of_its_list_with_the_certificate_of_its_list(
    net: Internet, federation: Known, new_homeserver: Callable[..., Homeserver]
) -> None:
    ministry = new_homeserver(federation=True, server_name="ministry.example")
    await asyncio.to_thread(ministry.start)
    key = await asyncio.to_thread(_signing_key, ministry)
    made = federation(ssl.create_default_context(), closed=True, allow_private=False)
    der = ssl.PEM_cert_to_DER_cert((ministry.folder / "tls.crt").read_text())
    good = hashlib.sha256(der).hexdigest()
    address = f"https://127.0.0.1:{ministry.federation_port}"
    store = made.homeservers.store
    await store.decide("ministry.example", Level.JOIN, listed=True)

    async def look(pin: Pin) -> str:
        await store.pin("ministry.example", pin)
        made.client.forget("ministry.example")
        seen = await made.watch.look("ministry.example")
        return seen.problem or seen.key_problem

    assert await look(read_pin(address, good, "", key)) == ""
    assert await look(read_pin(address, "", (ministry.folder / "tls.crt").read_text(), key)) == ""
    assert await look(read_pin(address, "00" * 32, "", key)) == "another_certificate"
    assert await look(read_pin(address, "", "", key)) != ""  # nobody vouches for it
    assert await look(read_pin(address, good, "", "ed25519:a_palabre " + "A" * 43)) == "other_key"
    assert await look(read_pin(address, good, "", key.replace("a_palabre", "a_other"))) == "other_key"
    assert (await record(made, "ministry.example")).failing_since is not None
    assert net.dns.asked == []  # nothing was looked up


async def test_only_servers_whose_people_may_come_are_looked_at(net: Internet, federation: Known) -> None:
    for name in ("one.example", "refused.example"):
        await net.machine(name, answering({"server": {"name": "Conduit", "version": "1"}}), 8448)
    made = federation()
    for name in ("one.example", "refused.example"):
        await made.homeservers.seen(name)
    await made.homeservers.store.decide("refused.example", Level.REFUSE, listed=False)
    await made.watch.look_at_all()
    assert {machine for machine, _, _ in net.asked} == {"one.example"}
    assert (await record(made, "one.example")).observed["version"] == "Conduit 1"
    assert FAILED_SECONDS > 1


def _signing_key(server: Homeserver) -> str:
    context = ssl._create_unverified_context()
    url = f"https://127.0.0.1:{server.federation_port}/_matrix/key/v2/server"
    with urllib.request.urlopen(url, context=context) as answer:
        (key_id, value), *_ = json.load(answer)["verify_keys"].items()
    return f"{key_id} {value['key']}"
