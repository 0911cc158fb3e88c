"""A process that captures in real time until it is killed: `python -m tests.support.journal_process DIRECTORY KEYHEX`.

Prints the number of each packet once it was handed to the journal.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from media.recorder.capture import CallCapture
from palabre.base.clock import SystemClock
from tests.support.synthetic_meeting import claps, opus

INTERVAL = 0.02  # seconds between packets


def main(directory: str, key: str) -> None:
    packets = list(opus(claps(0.0, 10.0, 600)))
    clock = SystemClock()
    capture = CallCapture(Path(directory), bytes.fromhex(key), clock, on_error=lambda error: sys.exit(str(error)))
    journal = capture.track(
        identity="ana", user="@ana:example.org", name="Ana", track_sid="TR_1", kind="audio", source="microphone"
    )
    journal.layer(7, "", 111, "audio/opus", 48_000)
    begun = clock.monotonic()
    for number in range(100_000):
        time.sleep(max(0.0, begun + number * INTERVAL - clock.monotonic()))
        header = bytes([0x80, 111]) + (number & 0xFFFF).to_bytes(2, "big") + (number * 960).to_bytes(4, "big")
        packet = header + (7).to_bytes(4, "big") + packets[number % len(packets)]
        journal.rtp(7, packet, clock.monotonic())
        print(number, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
