"""How a worker keeps out of the way of running calls, and of its own accidents."""

from __future__ import annotations

import os
import resource

NICENESS = 19  # calls go first
MOST_MEMORY = 4 << 30  # bytes of address space: a film takes 150 MB of memory, but libraries reserve far more


def worker_limits(most_memory: int = MOST_MEMORY) -> None:
    """Call first in a worker process: lowest priority, bounded memory, no core dumps (they would hold keys)."""
    os.nice(NICENESS - os.nice(0))
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_AS, most_memory)


def _lower(which: int, wanted: int) -> None:
    """Set a limit, unless the machine's is lower already."""
    _, hard = resource.getrlimit(which)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (limit, limit))
