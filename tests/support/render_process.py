"""Renders one capture as a worker does: `python -m tests.support.render_process JOB CAPTUREKEY OUTPUTKEY`.

Prints the most memory it ever had, in MB, and the seconds of CPU it took.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from media.recorder.job import RenderJob
from media.recorder.limits import worker_limits
from media.recorder.render import render


def main(job: str, capture_key: str, output_key: str) -> None:
    worker_limits()
    render(RenderJob.from_json(job), capture_key=bytes.fromhex(capture_key), output_key=bytes.fromhex(output_key))
    used = resource.getrusage(resource.RUSAGE_SELF)  # its ru_maxrss knows the parent's memory too
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(int(peak.split()[1]) / 1024, used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    main(*sys.argv[1:])
