"""How a worker keeps out of the way of running calls, and of its own accidents."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path

HIGHEST_PRIORITY = 99  # of SCHED_FIFO on Linux
NICENESS = 19  # calls go first
LIVE_NICENESS = 5  # what is recorded while people talk waits for calls, and for nothing else
MOST_MEMORY = 4 << 30  # bytes of address space: a film takes 150 MB of memory, but libraries reserve far more


def worker_limits(most_memory: int = MOST_MEMORY) -> None:
    """Call first in a worker process: lowest priority, bounded memory, no core dumps (they would hold keys)."""
    os.nice(NICENESS - os.nice(0))
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_AS, most_memory)


def live_limits() -> None:
    """Call first in a process that records live: a little behind calls, no core dumps (they would hold keys)."""
    os.nice(max(0, LIVE_NICENESS - os.nice(0)))
    _lower(resource.RLIMIT_CORE, 0)


def leave_realtime() -> None:
    """Back to the ordinary scheduler; call once an AV1 encoder has been opened.

    Run as root, SVT-AV1 puts its threads, and the one that opened it, under SCHED_FIFO at the highest priority.
    Whatever such a thread starts afterwards inherits it, and nothing else on the machine gets to run, calls included.
    """
    for task in Path("/proc/self/task").iterdir():
        thread = int(task.name)
        with suppress(ProcessLookupError):  # it ended meanwhile
            if os.sched_getparam(thread).sched_priority == HIGHEST_PRIORITY:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _lower(which: int, wanted: int) -> None:
    """Set a limit, unless the machine's is lower already."""
    _, hard = resource.getrlimit(which)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (limit, limit))
