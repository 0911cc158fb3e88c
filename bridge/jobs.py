"""Runs `bridge.worker`, one process per job: hands it the job, follows its progress, ends it when it hangs.

What crosses: one line of JSON on its standard input, which stays open (its end tells the worker that we are gone), and
lines of JSON on its standard output: `{"progress": 0.4}`, then `{"result": …}` or `{"refused": …}`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from palabre.base import metrics
from palabre.base.errors import CallerError

log = structlog.get_logger("jobs")

# Loading a model, or decoding a long silence, is quiet for less than a minute on a slow machine.
SILENCE_SECONDS = 900.0
LINE_LIMIT = 4 * 1024 * 1024  # bytes: a result names its files and the people in them
ENDING_SECONDS = 5.0

_jobs = metrics.counter("artefact_jobs", "Jobs of the artefact worker", ["outcome"])


class WorkerDiedError(Exception):
    """The worker ended without a result: killed, crashed or silent. The job can be tried again."""


async def run_worker(job: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
    """The worker's result. `progress` gets fractions from 0 to 1.

    Raises `CallerError` for what the worker refuses for good, `WorkerDiedError` for the rest. Cancelling ends it.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge.worker",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
    )
    try:
        result = await _talk(process, job, progress)
    except CallerError:
        _jobs.labels("refused").inc()
        raise
    except WorkerDiedError:
        _jobs.labels("died").inc()
        raise
    finally:
        await _end(process)
    _jobs.labels("done").inc()
    return result


async def _talk(
    process: asyncio.subprocess.Process, job: dict[str, Any], progress: Callable[[float], None]
) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(job).encode() + b"\n")
        await process.stdin.drain()
        while True:
            async with asyncio.timeout(SILENCE_SECONDS):
                line = await process.stdout.readline()
            if not line:
                raise WorkerDiedError(f"ended with {await process.wait()}")
            message = json.loads(line)
            if "result" in message:
                result: dict[str, Any] = message["result"]
                return result
            if "refused" in message:
                raise _refusal(message["refused"])
            progress(float(message["progress"]))
    except TimeoutError as error:
        raise WorkerDiedError(f"was silent for {SILENCE_SECONDS:.0f} s") from error
    except (ValueError, KeyError, ConnectionError) as error:
        raise WorkerDiedError(f"broke off: {type(error).__name__}") from error


def _refusal(document: dict[str, Any]) -> CallerError:
    return CallerError(document["code"], document["sentence"], **document["params"])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(ENDING_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
