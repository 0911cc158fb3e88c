"""`palabre doctor`: checks a deployment from outside in, and says in one sentence each what is wrong and what to do.

Every check returns a `Finding`; none raises. What decides is in pure functions of what was found, so that their
sentences can be tested without breaking a machine.
"""

from __future__ import annotations

import asyncio
import email.utils
import shutil
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from appservice.membership import How, Probe, probe
from appservice.settings import AppserviceSettings
from palabre.base.clock import Clock
from palabre.health import Finding
from palabre.settings import Settings

CLOCK_LIMIT = 30.0  # seconds: LiveKit tokens are given this much leeway, more and people can't join
DISK_LIMIT = 2 << 30  # bytes: about six hours of recording one call of four
TIMEOUT = aiohttp.ClientTimeout(total=5)


@dataclass(frozen=True)
class Named:
    """A check and what it looks at, in a word or two."""

    name: str
    run: Callable[[], Awaitable[Finding]]


def examine_clock(difference: float) -> Finding:
    """`difference`: the homeserver's clock minus ours, in seconds."""
    if abs(difference) <= CLOCK_LIMIT:
        return Finding(True, f"The clock agrees with the homeserver's within {abs(difference):.0f} s.")
    return Finding(
        False,
        f"The clock differs from the homeserver's by {abs(difference):.0f} s, so tokens are refused: "
        "set up time synchronisation (`timedatectl set-ntp true`) on both machines.",
    )


def examine_disk(folder: Path, free: int) -> Finding:
    gigabytes = free / (1 << 30)
    if free >= DISK_LIMIT:
        return Finding(True, f"{gigabytes:.0f} GB are free in {folder}.")
    return Finding(
        False, f"Only {gigabytes:.1f} GB are free in {folder}: recordings will stop. Free or add {DISK_LIMIT >> 30} GB."
    )


def examine_ping(status: int, errcode: str, url: str) -> Finding:
    """What the homeserver answered to `POST /_matrix/client/v1/appservice/{id}/ping` (Matrix v1.7)."""
    if status == 200:
        return Finding(True, "The homeserver and Palabre accept each other's tokens.")
    if errcode in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN") or status == 401:
        return Finding(
            False,
            "The homeserver does not know Palabre's as_token: write the registration anew with `palabre registration`, "
            "list it under app_service_config_files and restart the homeserver.",
        )
    if errcode == "M_FORBIDDEN":
        return Finding(
            False, "The homeserver has another id in its registration: write it anew and restart the homeserver."
        )
    if errcode == "M_BAD_STATUS":
        return Finding(
            False, f"Palabre at {url} refused the homeserver's hs_token: both must use the same registration file."
        )
    if errcode in ("M_CONNECTION_FAILED", "M_CONNECTION_TIMEOUT"):
        return Finding(
            False, f"The homeserver can't reach Palabre at {url}: set appservice_url to an address that it can."
        )
    if errcode == "M_URL_NOT_SET":
        return Finding(False, "The registration has no url: write it anew with `palabre registration`.")
    return Finding(False, f"The homeserver answered the ping with status {status} {errcode}.".rstrip(" .") + ".")


def examine_port(protocol: str, port: int, error: OSError | None) -> Finding:
    if error is None:
        return Finding(True, f"{protocol} port {port} is free.")
    return Finding(
        False, f"{protocol} port {port} can't be opened ({error.strerror}): stop what uses it, or choose another."
    )


def examine_membership(found: Probe, admin_user: str) -> Finding:
    """Whether the homeserver says who is in rooms that the bot is not in; `admin_user` is empty with a token."""
    if found.how is How.NONE:
        return Finding(
            True,
            "Only rooms that the bot is in can be checked; for calls in others set appservice.membership to msc4502 "
            "or admin.",
        )
    works = found.status == 200 or (found.how is How.ADMIN and found.errcode == "M_NOT_FOUND")
    if works:
        return Finding(True, f"The homeserver says who is in rooms that the bot is not in ({found.how}).")
    if not found.status:
        return Finding(False, "Who is in rooms could not be asked, because the homeserver does not answer.")
    if found.how is How.MSC4502:
        if found.errcode == "M_UNRECOGNIZED":
            cure = "set `experimental_features: {msc4502_enabled: true}` in homeserver.yaml (Synapse 1.163 or later)"
        else:
            cure = "write the registration anew with `palabre registration`: it lacks io.element.msc4502.scopes"
        return Finding(
            False, f"The homeserver does not say who is in rooms (status {found.status}): {cure}, restart it."
        )
    if found.errcode == "M_UNRECOGNIZED" or found.status == 404:
        return Finding(
            False,
            "Synapse's admin API does not answer at homeserver_url: have the proxy let /_synapse/admin through for "
            "this machine, or set homeserver_url to Synapse itself.",
        )
    if admin_user:
        cure = (
            f'an administrator must send `PUT /_synapse/admin/v1/users/{admin_user}/admin` with `{{"admin": true}}` '
            "after Palabre's first start; with the Matrix Authentication Service set appservice.admin_token instead"
        )
    else:
        cure = "appservice.admin_token is not that of a server administrator: issue a new one"
    return Finding(False, f"Synapse's admin API refuses Palabre (status {found.status}): {cure}.")


class Doctor:
    """Runs the checks of one deployment. Safe beside a running service: what it finds in use it takes as running."""

    def __init__(
        self, settings: Settings, matrix: AppserviceSettings, clock: Clock, speech: Callable[[], Finding]
    ) -> None:
        self._settings = settings
        self._matrix = matrix
        self._appservice_id = matrix.id
        self._homeserver = str(settings.homeserver_url).rstrip("/")
        self._appservice_url = str(matrix.listen_url)
        self._clock = clock
        self._speech = speech
        self._serving = False

    def checks(self) -> list[Named]:
        return [
            Named("homeserver", self._reachable),
            Named("clock", self._clock_agrees),
            Named("tokens", self._tokens_agree),
            Named("other rooms", self._membership),
            Named("disk", self._disk),
            Named("speech model", self._model),
            Named("media over UDP", self._udp),
            Named("media over TCP", self._tcp),
        ]

    async def examine(self) -> dict[str, Finding]:
        self._serving = await self._service_runs()
        return {check.name: await check.run() for check in self.checks()}

    async def _service_runs(self) -> bool:
        host, port = self._settings.monitoring.host, self._settings.monitoring.port
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as http,
                http.get(f"http://{host}:{port}/health") as answer,
            ):
                return "event_loop_lag" in await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    async def _reachable(self) -> Finding:
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as http,
                http.get(f"{self._homeserver}/_matrix/client/versions") as answer,
            ):
                body = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            return Finding(
                False,
                f"No homeserver answers at {self._homeserver} ({type(error).__name__}): check homeserver_url, "
                "that it runs, and its certificate.",
            )
        if not isinstance(body, dict) or not isinstance(body.get("versions"), list) or not body["versions"]:
            return Finding(
                False, f"What answers at {self._homeserver} is not a Matrix homeserver: check homeserver_url."
            )
        return Finding(True, f"The homeserver answers and speaks Matrix {body['versions'][-1]}.")

    async def _clock_agrees(self) -> Finding:
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as http,
                http.get(f"{self._homeserver}/_matrix/client/versions") as answer,
            ):
                date = answer.headers.get("Date", "")
            theirs = email.utils.parsedate_to_datetime(date).timestamp()
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return Finding(False, "The homeserver's clock could not be read, because it does not answer with a date.")
        return examine_clock(theirs - self._clock.wall())

    async def _tokens_agree(self) -> Finding:
        try:
            status, errcode = await self.ping()
        except OSError as error:
            return examine_port("TCP", self._settings.listen.port, error)
        if not status:
            return Finding(False, "The tokens could not be tried, because the homeserver does not answer.")
        return examine_ping(status, errcode, self._appservice_url)

    async def ping(self) -> tuple[int, str]:
        """Have the homeserver call us: its status and errcode, status 0 without an answer.

        While the service is down, the homeserver's half is answered from here. Raises `OSError` where it can't be.
        """
        if await self._service_runs():
            return await self._ping()
        app = web.Application()
        app.router.add_post("/_matrix/app/v1/ping", self._answer_ping)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._settings.listen.host, self._settings.listen.port).start()
            return await self._ping()
        finally:
            await runner.cleanup()

    async def _answer_ping(self, request: web.Request) -> web.Response:
        expected = f"Bearer {self._settings.secrets.hs_token.get_secret_value()}"
        ok = request.headers.get("Authorization", "") == expected
        return web.json_response({} if ok else {"errcode": "M_FORBIDDEN"}, status=200 if ok else 403)

    async def _ping(self) -> tuple[int, str]:
        url = f"{self._homeserver}/_matrix/client/v1/appservice/{self._appservice_id}/ping"
        headers = {"Authorization": f"Bearer {self._settings.secrets.as_token.get_secret_value()}"}
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as http,
                http.post(url, json={}, headers=headers) as answer,
            ):
                body = await answer.json(content_type=None)
                return answer.status, str(body.get("errcode", "")) if isinstance(body, dict) else ""
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError):
            return 0, ""

    async def _membership(self) -> Finding:
        admin_user = "" if self._matrix.admin_token is not None else self._matrix.admin_user_id
        return examine_membership(await probe(self._matrix), admin_user)

    async def _disk(self) -> Finding:
        folder = self._settings.data_directory
        try:
            folder.mkdir(parents=True, exist_ok=True)
            usage = await asyncio.to_thread(shutil.disk_usage, folder)
        except OSError as error:
            return Finding(False, f"{folder} can't be written ({error.strerror}): create it for the service's user.")
        return examine_disk(folder, usage.free)

    async def _model(self) -> Finding:
        return await asyncio.to_thread(self._speech)

    async def _udp(self) -> Finding:
        return self._port("UDP", socket.SOCK_DGRAM, self._settings.media.udp_port)

    async def _tcp(self) -> Finding:
        return self._port("TCP", socket.SOCK_STREAM, self._settings.media.tcp_port)

    def _port(self, protocol: str, kind: int, port: int) -> Finding:
        if self._serving:
            return Finding(True, f"{protocol} port {port} is Palabre's.")
        host = self._settings.media.host
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            return examine_port(protocol, port, error)
        return examine_port(protocol, port, None)
