"""Starts agent workers of LiveKit's framework (`tests.support.agent_worker`), each a process in `.venv-agents`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.relay import API_KEY, API_SECRET

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-agents" / "bin" / "python"


@asynccontextmanager
async def agent_worker(
    url: str, name: str, *arguments: str, key: str = API_KEY, secret: str = API_SECRET
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`url` is the relay's, as LiveKit clients are given it."""
    assert PYTHON.exists(), f"no {PYTHON}: `make test` makes it"
    environment = {**os.environ, "LIVEKIT_URL": url, "LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": secret}
    environment |= {"AGENT_NAME": name, "PYTHONPATH": ""}
    process = await asyncio.create_subprocess_exec(
        PYTHON, ROOT / "tests" / "support" / "agent_worker.py", *arguments, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
