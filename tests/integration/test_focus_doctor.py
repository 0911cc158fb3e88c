"""`palabre doctor --focus` beside real Synapses with real mistakes, well-known files on real TLS servers, and a real
Palabre behind proxies that break it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web

from appservice.federation.opening import open_federation
from appservice.registration import registration
from appservice.schema import upgrade_table
from palabre.base.clock import ManualClock, SystemClock
from palabre.base.database import open_database
from palabre.demo.homeserver import Homeserver, free_port
from palabre.doctor import Doctor
from palabre.focus_doctor import FocusDoctor
from palabre.focus_findings import FocusFinding
from palabre.health import Finding
from palabre.initialise import InitialFacts, initial_document
from palabre.packages import appservice_settings, bridge_settings, homeserver_settings
from palabre.settings import Settings
from tests.support.deployment import Deployment
from tests.support.internet import Internet, answering, internet, missing

NAME = "hs.example"
Findings = dict[str, list[FocusFinding]]
GOOD = {
    "experimental_features": {"msc4143_enabled": True, "msc4222_enabled": True, "msc4354_enabled": True},
    "max_event_delay_duration": "24h",
}


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[Internet]:
    async with internet(tmp_path) as made:
        yield made


class Place:
    """A homeserver with its name in the small Internet, and what a doctor of Palabre is told about it."""

    def __init__(self, net: Internet, server: Homeserver, folder: Path) -> None:
        self.net, self.server, self.folder = net, server, folder
        document = initial_document(
            InitialFacts(NAME, server.url, f"http://127.0.0.1:{free_port()}", folder / "palabre", language="en")
        )
        document["listen"] = {"host": "127.0.0.1", "port": free_port()}
        document["monitoring"] = {"host": "127.0.0.1", "port": free_port()}
        document["bridge"] = {"openid": {"allow_private": True}}
        self.settings = Settings(**document)
        self.focus = bridge_settings(self.settings).focus_url
        self.well_known: Any = {"m.homeserver": {"base_url": server.url}, **foci(self.focus)}
        self.headers = {"Access-Control-Allow-Origin": "*"}

    async def open(self, **machine: Any) -> None:
        async def site(request: web.Request) -> web.StreamResponse:
            if request.path != "/.well-known/matrix/client" or self.well_known is None:
                raise web.HTTPNotFound
            return web.json_response(self.well_known, headers=self.headers)

        await self.net.machine(NAME, site, 443)
        await self.net.machine(NAME, answering({"server": {"name": "Synapse", "version": "1"}}), 8448, **machine)

    async def examine(self, name: str = "", language: str = "en", **changes: Any) -> Findings:
        settings = self.settings.model_copy(update=changes)
        matrix = appservice_settings(settings)
        doctor = Doctor(settings, matrix, SystemClock(), lambda: Finding(True, ""))
        pool, (tables,) = await open_database(f"sqlite:///{self.folder}/doctor.db", [upgrade_table])
        federation = open_federation(
            homeserver_settings(settings),
            tables,
            SystemClock(),
            resolver=self.net.resolver,
            srv=self.net.srv,
            ssl_context=self.net.trust,
        )
        try:
            focus = FocusDoctor(matrix, bridge_settings(settings), federation, doctor.ping, SystemClock())
            found: Findings = {}
            for finding in await focus.examine(name, language):
                found.setdefault(finding.name, []).append(finding)
            return found
        finally:
            await federation.http.close()
            await pool.stop()


def foci(url: str) -> dict[str, Any]:
    return {"org.matrix.msc4143.rtc_foci": [{"type": "livekit", "livekit_service_url": url}]}


def faults(found: Findings) -> dict[str, str]:
    return {name: finding.sentence for name, findings in found.items() for finding in findings if not finding.ok}


def added(found: Findings, name: str) -> str:
    return "\n".join(finding.add for finding in found[name] if not finding.ok)


def document(place: Place) -> dict[str, Any]:
    return registration(appservice_settings(place.settings))


@pytest.fixture
async def make(
    net: Internet, new_homeserver: Callable[..., Homeserver], tmp_path: Path
) -> Callable[..., Awaitable[Place]]:
    async def start(extra: dict[str, Any], *, registered: bool = True, transports: str = "", **machine: Any) -> Place:
        server = new_homeserver(server_name=NAME)
        place = Place(net, server, tmp_path)
        if registered:
            server.registrations.append(document(place))
        server.extra = dict(extra)
        if transports:
            url = place.focus if transports == "ours" else transports
            server.extra["matrix_rtc"] = {"transports": [{"type": "livekit", "livekit_service_url": url}]}
        await asyncio.to_thread(server.start)
        await place.open(**machine)
        return place

    return start


@asynccontextmanager
async def proxy(target: str, *, websocket: bool = True, cors: bool = True) -> AsyncIterator[str]:
    """A reverse proxy as operators write them, with what they forget."""

    async def serve(request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        if not websocket:
            headers = {name: value for name, value in headers.items() if name not in ("Upgrade", "Connection")}
        body = await request.read()
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, target + request.path_qs, headers=headers, data=body) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.startswith("Access-Control") and cors}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_a_homeserver_where_nothing_was_done_is_told_all_of_it(make: Callable[..., Awaitable[Place]]) -> None:
    place = await make({"max_event_delay_duration": None, "experimental_features": {}}, registered=True)
    place.well_known = None
    found = await place.examine()
    said = faults(found)
    assert "status 404" in said["well-known"]
    assert f'"livekit_service_url": "{place.focus}"' in added(found, "well-known")
    assert "MSC4143 is off" in said["transports"]
    assert "msc4143_enabled: true" in added(found, "transports")
    assert yaml.safe_load(added(found, "transports"))["matrix_rtc"]["transports"] == [
        {"type": "livekit", "livekit_service_url": place.focus}
    ]
    assert "MSC4140" in said["delayed events"]
    assert yaml.safe_load(added(found, "delayed events")) == {"max_event_delay_duration": "24h"}
    assert "does not answer" in said["relay"]  # nothing listens at public_url
    assert "matrix_2_0" in found["sticky events"][0].sentence
    assert "registration" not in said
    place.well_known = {"m.homeserver": {"base_url": place.server.url}}
    assert "names no focus" in faults(await place.examine())["well-known"]


async def test_half_measures_are_each_named(make: Callable[..., Awaitable[Place]]) -> None:
    listeners = {"max_event_delay_duration": "30s", "experimental_features": {"msc4143_enabled": True}}
    place = await make(listeners | {"rc_delayed_event_mgmt": {"per_second": 1, "burst_count": 5}})
    found = await place.examine()
    said = faults(found)
    assert "knows none" in said["transports"]
    assert "30 s" in said["delayed events"]
    assert "renewed at once" in said["rate limit"]
    place.well_known = {"m.homeserver": {}, **foci(place.focus + "/")}
    place.headers = {}
    found = await place.examine()
    assert "letter by letter" in found["well-known"][0].sentence
    assert "other origins" in found["well-known"][1].sentence
    assert "Access-Control-Allow-Origin" in found["well-known"][1].add
    place.headers = {"Access-Control-Allow-Origin": "*"}
    place.well_known = {"m.homeserver": {}, **foci("https://elsewhere.example/livekit/jwt")}
    assert "another focus first" in faults(await place.examine())["well-known"]


async def test_two_places_that_name_different_foci_are_told_so(make: Callable[..., Awaitable[Place]]) -> None:
    place = await make(GOOD, transports="https://elsewhere.example/livekit/jwt")
    said = faults(await place.examine())
    assert "another focus" in said["transports"]
    assert "would not meet" in said["agreement"]


async def test_a_listener_without_openid_and_a_stale_registration_are_named(
    make: Callable[..., Awaitable[Place]],
) -> None:
    place = await make(GOOD, registered=False, transports="ours")
    found = await place.examine()
    assert "does not know Palabre" in faults(found)["registration"]
    await asyncio.to_thread(place.server.stop)
    bare = [
        {
            "port": place.server.port,
            "bind_addresses": ["127.0.0.1"],
            "type": "http",
            "resources": [{"names": ["client"]}],
        }
    ]
    place.server.extra["listeners"] = bare
    place.server.registrations.append(document(place) | {"hs_token": "another-token-than-palabre-has-for-sure"})
    await asyncio.to_thread(place.server.start)
    found = await place.examine()
    said = faults(found)
    assert "OpenID" in said["OpenID"]
    assert "openid" in added(found, "OpenID")
    assert "hs_token" in said["registration"]


async def test_a_certificate_for_another_name_is_named(make: Callable[..., Awaitable[Place]]) -> None:
    place = await make(GOOD, transports="ours", certificate="elsewhere.example")
    assert "another name" in faults(await place.examine())["certificate"]


async def test_a_clock_that_is_off_is_named(make: Callable[..., Awaitable[Place]], monkeypatch) -> None:
    place = await make(GOOD, transports="ours")
    monkeypatch.setattr(SystemClock, "wall", ManualClock(wall=1_900_000_000.0).wall)
    assert "differs" in faults(await place.examine())["clock"]


async def test_another_organisations_server_is_told_what_strangers_see(
    make: Callable[..., Awaitable[Place]], net: Internet
) -> None:
    place = await make(GOOD, transports="ours")
    theirs = "https://rtc.ministry.example/livekit/jwt"
    site = answering({"m.homeserver": {"base_url": place.server.url}, **foci(theirs)}, headers=place.headers)
    await net.machine("ministry.example", site, 443)
    await net.machine("ministry.example", missing, 8448)
    found = await place.examine("ministry.example")
    assert theirs in found["well-known"][0].sentence
    assert found["well-known"][0].ok
    assert "its own people alone" in found["transports"][0].sentence
    assert "OpenID" in faults(found)["OpenID"]
    assert "registration" not in found


@pytest.mark.timeout(300)  # three doctors, each waiting for a port that says nothing
@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_set_up_where_all_is_well_says_so(deployment: Deployment, tmp_path: Path, language: str) -> None:
    """On the shared homeserver, with its real Palabre running: only what a test machine cannot have is missing."""
    await deployment.start()
    async with AsyncExitStack() as stack:
        said: dict[str, list[str]] = {}
        for name, options in {"whole": {}, "no cors": {"cors": False}, "no upgrade": {"websocket": False}}.items():
            url = await stack.enter_async_context(proxy(deployment.url, **options))
            config = tmp_path / "doctor.yaml"
            config.write_text(yaml.safe_dump(deployment.settings | {"public_url": url, "language": language}))
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "palabre.cli", "doctor", "--focus", "--dev", "--config", str(config)),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=dict(os.environ),
            )
            output = (await process.communicate())[0].decode()
            said[name] = [line for line in output.splitlines() if " relay " in line]
            assert process.returncode == 1, output  # the shared homeserver has no focus of ours
    assert [line[:2] for line in said["whole"]] == ["ok"], said
    assert [line[:3] for line in said["no cors"]] == ["FIX"], said
    assert [line[:3] for line in said["no upgrade"]] == ["FIX"], said
    assert said["no cors"] != said["no upgrade"]
