"""A service that hands one job to the artefact worker, for tests that kill it: job on standard input."""

from __future__ import annotations

import asyncio
import json
import sys

from bridge.jobs import run_worker

if __name__ == "__main__":
    asyncio.run(run_worker(json.load(sys.stdin), lambda done: print(done, flush=True)))
