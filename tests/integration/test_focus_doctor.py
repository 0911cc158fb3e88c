"""`palabre doctor --focus` beside real Synapses with real mistakes, well-known files on real TLS servers, and a real
Palabre behind proxies that break it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
import yaml
from aiohttp import web

from appservice.federation.opening import open_federation
from appservice.registration import registration
from appservice.schema import upgrade_table
from appservice.settings import AppserviceSettings
from palabre.base.clock import ManualClock, SystemClock
from palabre.base.database import open_database
from palabre.demo import certificates
from palabre.demo.certificates import write_self_signed
from palabre.demo.homeserver import Homeserver, HomeserverError, free_port
from palabre.doctor import Doctor
from palabre.focus_doctor import FocusDoctor
from palabre.focus_findings import FocusFinding
from palabre.health import Finding
from palabre.initialise import InitialFacts, initial_document
from palabre.packages import appservice_settings, bridge_settings, homeserver_settings
from palabre.settings import Settings
from tests.support.deployment import Deployment
from tests.support.internet import Internet, Site, answering, internet, missing
from tests.support.synapse import AppserviceSlot, make_slot

NAME = "hs.example"
Findings = dict[str, list[FocusFinding]]
GOOD: dict[str, Any] = {
    "experimental_features": {"msc4143_enabled": True, "msc4222_enabled": True, "msc4354_enabled": True},
    "max_event_delay_duration": "24h",
}

PROXIED = {"openid": {"allow_private": True}, "focus": {"homeserver_proxy": True}}


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

    def bot_in_a_room(self) -> None:
        bot_in_a_room(self.server, appservice_settings(self.settings))

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


def bot_in_a_room(server: Homeserver, matrix: AppserviceSettings) -> None:
    """As its application service: the doctor sees MSC4222 in a room of the bot's."""
    token = matrix.as_token.get_secret_value()
    login = {"type": "m.login.application_service", "username": matrix.bot_localpart, "inhibit_login": True}
    with suppress(HomeserverError):  # the service has made it
        server.request("POST", "/_matrix/client/v3/register", login, token=token)
    server.request("POST", f"/_matrix/client/v3/createRoom?user_id={quote(matrix.bot_user_id)}", {}, token=token)


def foci(url: str) -> dict[str, Any]:
    return {"org.matrix.msc4143.rtc_foci": [{"type": "livekit", "livekit_service_url": url}]}


def faults(found: Findings) -> dict[str, str]:
    return {name: finding.sentence for name, findings in found.items() for finding in findings if not finding.ok}


def added(found: Findings, name: str) -> str:
    return "\n".join(finding.add for finding in found[name] if not finding.ok)


def document(place: Place, **changes: Any) -> dict[str, Any]:
    return registration(appservice_settings(place.settings.model_copy(update=changes)))


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
        return await passed_on(request, target, without=() if websocket else ("Upgrade", "Connection"), cors=cors)

    port = free_port()
    async with listening(serve, port):
        yield f"http://127.0.0.1:{port}"


async def passed_on(
    request: web.Request, target: str, *, without: tuple[str, ...] = (), cors: bool = True
) -> web.Response:
    headers = {name: value for name, value in request.headers.items() if name not in ("Host", *without)}
    body = await request.read()
    async with (
        aiohttp.ClientSession() as session,
        session.request(request.method, target + request.path_qs, headers=headers, data=body) as answer,
    ):
        kept = {name: value for name, value in answer.headers.items() if name.startswith("Access-Control") and cors}
        return web.Response(status=answer.status, body=await answer.read(), headers=kept)


@asynccontextmanager
async def listening(site: Site, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", site)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def front(port: int, homeserver: str, palabre: str, files: tuple[Path, Path]) -> AsyncIterator[None]:
    """Of a whole organisation: its well-known file, its homeserver and its Palabre at one name."""

    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path == "/.well-known/matrix/client":
            named = {"m.homeserver": {"base_url": f"https://localhost:{port}"}}
            known = named | foci(f"https://localhost:{port}/livekit/jwt")
            return web.json_response(known, headers={"Access-Control-Allow-Origin": "*"})
        return await passed_on(request, homeserver if request.path.startswith("/_matrix/") else palabre)

    write_self_signed("localhost", *files)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(*files)
    async with listening(serve, port, tls):
        yield


async def told(settings: dict[str, Any], folder: Path, **environment: str) -> tuple[int | None, str]:
    """Exit status and output of the command."""
    config = folder / "doctor.yaml"
    config.write_text(yaml.safe_dump(settings))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "palabre.cli", "doctor", "--focus", "--dev", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ) | environment,
    )
    output = (await process.communicate())[0].decode()
    return process.returncode, output


async def test_a_homeserver_where_nothing_was_done_is_told_all_of_it(make: Callable[..., Awaitable[Place]]) -> None:
    place = await make({"max_event_delay_duration": None, "experimental_features": {}}, registered=True)
    place.well_known = None
    found = await place.examine(bridge=PROXIED)
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
    assert "MSC4512" in said["MSC4512"]
    assert yaml.safe_load(added(found, "MSC4512"))["experimental_features"] == {
        "msc4512_enabled": True,
        "msc4502_enabled": True,
    }
    assert "all" not in found
    place.well_known = {"m.homeserver": {"base_url": place.server.url}}
    assert "names no focus" in faults(await place.examine())["well-known"]


async def test_half_measures_are_each_named(make: Callable[..., Awaitable[Place]]) -> None:
    listeners = {"max_event_delay_duration": "30s", "experimental_features": {"msc4143_enabled": True}}
    place = await make(listeners | {"rc_delayed_event_mgmt": {"per_second": 1, "burst_count": 5}})
    await asyncio.to_thread(place.bot_in_a_room)
    found = await place.examine()
    said = faults(found)
    assert "MSC4222" in said["state after"]
    assert yaml.safe_load(added(found, "state after")) == {"experimental_features": {"msc4222_enabled": True}}
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
    switches = GOOD["experimental_features"] | {"msc4512_enabled": True}
    place = await make(GOOD | {"experimental_features": switches}, transports="https://elsewhere.example/livekit/jwt")
    found = await place.examine(bridge=PROXIED)
    said = faults(found)
    assert "palabre registration" in said["MSC4512"]  # written before the setting was made
    lines = yaml.safe_load(added(found, "MSC4512"))
    assert lines.items() <= document(place, bridge=PROXIED).items()
    assert set(lines) == {"io.element.msc4512.proxy_prefix", "io.element.msc4512.proxy_url"}
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


async def test_a_certificate_for_another_name_or_past_its_end_is_named(
    make: Callable[..., Awaitable[Place]], net: Internet, tmp_path: Path, monkeypatch
) -> None:
    place = await make(GOOD, transports="ours", certificate="elsewhere.example")
    assert "gilt für einen anderen Namen" in faults(await place.examine(language="de"))["certificate"]
    monkeypatch.setattr(certificates, "LIFETIME", dt.timedelta(minutes=-1))
    for file in tmp_path.glob(f"{NAME}.*"):
        file.unlink()
    await net.machine(NAME, answering({}), 8448)
    assert "has expired" in faults(await place.examine())["certificate"]


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
@pytest.mark.long
@pytest.mark.parametrize("language", ["en", "de"])
async def test_a_proxy_that_loses_something_is_told_apart_from_a_good_one(
    deployment: Deployment, tmp_path: Path, language: str
) -> None:
    """On the shared homeserver, with its real Palabre running: only what a test machine cannot have is missing."""
    await deployment.start()
    async with AsyncExitStack() as stack:
        said: dict[str, list[str]] = {}
        for name, options in {"whole": {}, "no cors": {"cors": False}, "no upgrade": {"websocket": False}}.items():
            url = await stack.enter_async_context(proxy(deployment.url, **options))
            status, output = await told(deployment.settings | {"public_url": url, "language": language}, tmp_path)
            said[name] = [line for line in output.splitlines() if " relay " in line]
            assert status == 1, output  # the shared homeserver has no focus of ours
    assert [line[:2] for line in said["whole"]] == ["ok"], said
    assert [line[:3] for line in said["no cors"]] == ["FIX"], said
    assert [line[:3] for line in said["no upgrade"]] == ["FIX"], said
    assert said["no cors"] != said["no upgrade"]


async def test_a_set_up_where_all_is_well_says_so(
    new_homeserver: Callable[..., Homeserver],
    new_deployment: Callable[[Homeserver, AppserviceSlot], Deployment],
    tmp_path: Path,
) -> None:
    """Every switch, the registration that Palabre writes, and one front before all of it."""
    port = free_port()
    server = new_homeserver(server_name=f"localhost:{port}")
    deployment = new_deployment(server, make_slot(server, "whole"))
    deployment.settings["public_url"] = f"https://localhost:{port}"
    deployment.settings["bridge"] |= PROXIED
    deployment.settings["appservice"]["membership"] = "msc4502"
    settings = Settings(**deployment.settings)
    matrix = appservice_settings(settings)
    transport = {"type": "livekit", "livekit_service_url": bridge_settings(settings).focus_url}
    server.registrations.append(registration(matrix))
    server.extra = {
        "experimental_features": GOOD["experimental_features"] | {"msc4512_enabled": True, "msc4502_enabled": True},
        "matrix_rtc": {"transports": [transport]},
        "listeners": [
            {
                "port": server.port,
                "bind_addresses": ["127.0.0.1"],
                "type": "http",
                "x_forwarded": True,
                "resources": [{"names": ["client", "federation", "openid"]}],
            }
        ],
    }
    await asyncio.to_thread(server.start)
    files = tmp_path / "front.pem", tmp_path / "front.key"
    async with front(port, server.url, deployment.url, files):
        await deployment.start()
        await asyncio.to_thread(bot_in_a_room, server, matrix)
        status, output = await told(deployment.settings, tmp_path, SSL_CERT_FILE=str(files[0]))
    assert status == 0, output
    assert f"Native Matrix calls of localhost:{port} work here" in output.splitlines()[-1]
    assert "passes calls on to Palabre (MSC4512)" in output
    assert "state after a sync (MSC4222)" in output
