"""A real Synapse with SQLite on the loopback address, for the demonstration and the tests; never for production.

Synapse lives in its own virtual environment (it pins its own libraries and keeps its own licence) and is only ever
spoken to over HTTP. Everything here is synchronous: call it from a thread where an event loop runs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from palabre.demo.certificates import write_self_signed

PYTHON_VARIABLE = "PALABRE_SYNAPSE_PYTHON"
# Below the range from which Linux takes ports for outgoing connections (32768 up): a port found free stays free
# until the server binds it, unless another server of ours draws the same number.
PORTS = range(20_000, 32_000)
START_SECONDS = 60.0  # Synapse takes one second on an idle machine; a loaded one takes many more
STOP_SECONDS = 10.0
LOG_LINES = 60  # what a failure report shows

_handed_out: set[int] = set()


class HomeserverError(RuntimeError):
    """Synapse did not start, or refused what was asked; the message holds the end of its log."""


@dataclass(frozen=True)
class Account:
    """A user registered on the homeserver, logged in on one device."""

    user_id: str
    password: str
    access_token: str
    device_id: str


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on; the same process never gets the same one twice."""
    for _ in range(1000):
        port = random.choice(PORTS)  # noqa: S311  not a secret
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port
    raise HomeserverError(f"no free port between {PORTS.start} and {PORTS.stop}")


def synapse_python() -> Path:
    """The interpreter of Synapse's virtual environment: `.venv-synapse` at the root, or what the environment says."""
    if chosen := os.environ.get(PYTHON_VARIABLE):
        return Path(chosen)
    root = Path(__file__).resolve().parents[2]
    return root / ".venv-synapse" / "bin" / "python"


class Homeserver:
    """One Synapse process. The ports and the name are known before it starts, so that registrations can name them.

    `registrations` are application-service registration documents, `extra` is merged into `homeserver.yaml`; both may
    be added to until it starts. Without `federation` there is no TLS listener; with it the server name is
    `localhost:PORT`, which others reach without DNS.
    """

    def __init__(
        self,
        folder: Path,
        *,
        server_name: str = "",
        federation: bool = False,
        registrations: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder.absolute()  # Synapse runs in it
        self.port = free_port()
        self.federation_port = free_port() if federation else 0
        self.server_name = server_name or f"localhost:{self.federation_port or self.port}"
        self.url = f"http://127.0.0.1:{self.port}"
        self.registrations: list[Mapping[str, Any]] = list(registrations)
        self.extra: dict[str, Any] = dict(extra or {})
        self._shared_secret = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Write the configuration, start the process, return when it answers. Raises `HomeserverError`."""
        python = synapse_python()
        if not python.exists():
            raise HomeserverError(f"no Synapse at {python}: run `make setup`, or set {PYTHON_VARIABLE}")
        self._write_files()
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(  # our own interpreter and arguments
                [python, "-m", "synapse.app.homeserver", "-c", self.folder / "homeserver.yaml"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise HomeserverError(f"Synapse did not start\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the process; its files stay, so that `start` continues where it was."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @contextmanager
    def running(self) -> Iterator[Homeserver]:
        """`with homeserver.running():` starts it, and stops it whatever happens."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def register(self, name: str, *, password: str = "", admin: bool = False) -> Account:
        """Create a user in some twenty milliseconds (Synapse's shared-secret registration) and log them in."""
        password = password or secrets.token_urlsafe(12)
        nonce = str(self.request("GET", "/_synapse/admin/v1/register")["nonce"])
        parts = [nonce, name, password, "admin" if admin else "notadmin"]
        mac = hmac.new(self._shared_secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": password, "admin": admin, "mac": mac}
        answer = self.request("POST", "/_synapse/admin/v1/register", body)
        return Account(answer["user_id"], password, answer["access_token"], answer["device_id"])

    def request(self, method: str, path: str, body: Any = None, *, token: str = "") -> dict[str, Any]:
        """One call to the client API, answered with its JSON. Raises `HomeserverError` on any status but 2xx."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310  our own URL
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as refusal:
            raise HomeserverError(
                f"{method} {path}: {refusal.code} {refusal.read().decode(errors='replace')}"
            ) from None

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The end of what Synapse wrote."""
        try:
            return "\n".join(self._output.read_text(errors="replace").splitlines()[-lines:])
        except OSError as error:
            return f"(no log: {error})"

    @property
    def _output(self) -> Path:
        return self.folder / "synapse.log"

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False

    def _write_files(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        files = []
        for registration in self.registrations:
            path = self.folder / f"registration-{registration['id']}.yaml"
            path.write_text(yaml.safe_dump(dict(registration)))
            files.append(str(path))
        signing_key = self.folder / "signing.key"
        if not signing_key.exists():
            seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
            signing_key.write_text(f"ed25519 a_palabre {seed}\n")
        if self.federation_port:
            write_self_signed("localhost", self.folder / "tls.crt", self.folder / "tls.key")
        (self.folder / "log.yaml").write_text(yaml.safe_dump(_LOGGING))
        (self.folder / "homeserver.yaml").write_text(yaml.safe_dump(self._configuration(files)))

    def _configuration(self, registration_files: list[str]) -> dict[str, Any]:
        client = _listener(self.port, ["client", "openid"])
        configuration: dict[str, Any] = {
            "server_name": self.server_name,
            "public_baseurl": f"{self.url}/",
            "pid_file": str(self.folder / "synapse.pid"),
            "report_stats": False,
            "listeners": [client],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "log_config": str(self.folder / "log.yaml"),
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "registration_shared_secret": self._shared_secret,
            "macaroon_secret_key": secrets.token_hex(16),
            "form_secret": secrets.token_hex(16),
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "url_preview_enabled": False,
            "presence": {"enabled": False},
            "bcrypt_rounds": 4,  # logging in is not what is tested
            "app_service_config_files": registration_files,
            "max_event_delay_duration": "24h",  # delayed events (MSC4140), which Element Call leaves calls with
            "federation_verify_certificates": False,  # self-signed, loopback only
            "ip_range_blacklist": [],  # the default refuses loopback addresses
            **_NO_RATE_LIMITS,
        }
        if self.federation_port:
            federation = _listener(self.federation_port, ["federation"]) | {"tls": True, "x_forwarded": False}
            configuration["listeners"].append(federation)
            configuration["tls_certificate_path"] = str(self.folder / "tls.crt")
            configuration["tls_private_key_path"] = str(self.folder / "tls.key")
        return configuration | self.extra


def _listener(port: int, names: list[str]) -> dict[str, Any]:
    return {
        "port": port,
        "bind_addresses": ["127.0.0.1"],
        "type": "http",
        "tls": False,
        "x_forwarded": True,
        "resources": [{"names": names, "compress": False}],
    }


_LOGGING = {
    "version": 1,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
    "loggers": {"synapse.util.metrics": {"level": "CRITICAL"}},  # complains once per registration
    "disable_existing_loggers": False,
}

_FAST = {"per_second": 1000, "burst_count": 1000}
_NO_RATE_LIMITS: dict[str, Any] = {
    "rc_message": _FAST,
    "rc_registration": _FAST,
    "rc_login": {"address": _FAST, "account": _FAST, "failed_attempts": _FAST},
    "rc_joins": {"local": _FAST, "remote": _FAST},
    "rc_joins_per_room": _FAST,
    "rc_invites": {"per_room": _FAST, "per_user": _FAST, "per_issuer": _FAST},
    "rc_room_creation": _FAST,
    "rc_delayed_event_mgmt": _FAST,
}
