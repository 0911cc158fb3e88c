"""The memory of processes: how much it is, and whether secrets are in it, as somebody who took the machine over could
look."""

from __future__ import annotations

from pathlib import Path


def recorder_pid(service: int) -> int:
    """The recorder's process of a service."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"bridge.recorder_process" in command and parent == service:
            return int(folder.name)
    raise AssertionError("there is no recorder process")


def holds(pid: int, needles: list[bytes]) -> set[bytes]:
    """Which of `needles` the memory of a process holds."""
    found: set[bytes] = set()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, permissions = line.split()[:2]
            if not permissions.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            try:
                memory.seek(start)
                content = memory.read(end - start)
            except (OSError, OverflowError, ValueError):  # the kernel's own pages
                continue
            found |= {needle for needle in needles if needle in content}
    return found


def resident(pid: int) -> int:
    """Bytes of memory that a process has in use."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("the process is gone")
