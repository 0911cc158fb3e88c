"""A real coturn in the relay's network, with credentials that end (`use-auth-secret`), over UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from palabre.demo.certificates import write_self_signed
from tests.support.links.network import RELAY, Network

ADDRESS = RELAY[0]
PORT, TLS_PORT = 3478, 5349
SECRET = "shared-with-the-relay-alone"
_READY = 0.1  # seconds between two looks at its log


@asynccontextmanager
async def coturn(net: Network, folder: Path) -> AsyncIterator[str]:
    """Runs until the end; yields the file of its certificate. Skips the test where it is not installed."""
    program = shutil.which("turnserver")
    if program is None:
        pytest.skip("needs coturn (Debian: apt install coturn)")
    certificate, key, log = folder / "turn.pem", folder / "turn.key", folder / "turn.log"
    write_self_signed("turn.example.org", certificate, key)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *net.relay.command(
                program, "-n", "--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=example.org",
                f"--listening-ip={ADDRESS}", f"--relay-ip={ADDRESS}", f"--listening-port={PORT}",
                f"--tls-listening-port={TLS_PORT}", f"--cert={certificate}", f"--pkey={key}", "--fingerprint",
                "--no-cli", "--log-file=stdout", f"--pidfile={folder / 'turn.pid'}", f"--userdb={folder / 'turn.db'}",
            ),
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with asyncio.timeout(10):
            while "Relay ports initialization done" not in log.read_text(errors="replace"):
                assert process.returncode is None, log.read_text(errors="replace")
                await asyncio.sleep(_READY)
        yield str(certificate)
    finally:
        process.terminate()
        await process.wait()
