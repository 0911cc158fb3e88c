"""What a bench says of the machine it ran on, and the CPU time and memory of another process."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_SCHEDULED = 2  # CPUCLOCK_SCHED: a process's clock is its id and the kind, see clock_getcpuclockid(3)


def cpu_time(pid: int) -> float:
    """Seconds of CPU that a process and those of its threads that ended have used."""
    return time.clock_gettime((~pid << 3) | _SCHEDULED)


def machine() -> dict[str, str]:
    """Processor and system, nothing that names the machine."""
    processor = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    return {
        "processor": f"{os.cpu_count()} x {processor}",
        "system": f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}",
    }


def memory(pid: int) -> int:
    """Bytes that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
