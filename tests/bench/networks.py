"""Draws what the tests of bad networks saw: the table and the graphs of docs/networks.md.

Run after `pytest -m long tests -k "bad_networks or networks"`, which leaves a file per case in `.cache/networks`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / ".cache" / "networks"
PAGE = ROOT / "docs" / "networks.md"
PICTURES = ROOT / "docs" / "networks"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
CASES = {
    "sound-loss-2": "2 % of the packets lost",
    "sound-loss-10": "10 % lost",
    "sound-loss-25": "25 % lost",
    "sound-bursts": "bursts of five lost packets, 9 % in all",
    "sound-delay-300": "300 ms each way, ± 40 ms, 2 % lost",
    "bursts": "nothing passes for a second, five times",
    "gilbert-elliott": "bursts of ten lost packets, 5 % in all",
    "rate-500": "500 kbit/s to the subscriber",
    "squeeze-300": "300 kbit/s to the subscriber for 15 s",
    "publisher-500": "500 kbit/s from the publisher for 20 s",
    "tcp-squeezed": "media over TCP, 300 kbit/s for 15 s",
    "outage-10": "nothing passes for 10 s",
    "browser-outage-10": "nothing passes for 10 s, Chromium",
    "address-rebound": "the relay sees another address",
    "address-moved": "the client has another address",
    "browser-moved": "the client has another address, Chromium",
}
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 200, 56, 24, 12
BIN, SMOOTH = 0.1, 5  # seconds per point of a trace, points that are averaged
BEFORE = 3.0  # seconds drawn before the case begins
UP, DOWN = "#2a6fb0", "#c4581a"


def rates(trace: dict[str, int], start: float, end: float) -> list[tuple[float, float]]:
    """(seconds from `start`, kbit/s)."""
    first, last = int(start / BIN), int(end / BIN)
    points = []
    for middle in range(first, last):
        window = range(middle - SMOOTH + 1, middle + 1)
        total = sum(trace.get(str(number), 0) for number in window)
        points.append(((middle - first) * BIN, total * 8 / (SMOOTH * BIN) / 1000))
    return points


def picture(title: str, leg: dict[str, Any], began: float) -> str:
    """The two directions of a leg over time."""
    start, end = began - BEFORE, leg["now"]
    lines = {name: rates(leg[name]["delivered"], start, end) for name in ("up", "down")}
    top = max([rate for points in lines.values() for _, rate in points] or [1.0])
    step = next(s for s in (50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 1e9) if top / s <= 5)
    top = step * (int(top / step) + 1)
    length = end - start

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - 8) * seconds / length

    def y(rate: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * rate / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="10">',
        f"<title>{title}: kbit/s over seconds</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for number in range(int(top / step) + 1):
        rate = number * step
        parts.append(f'<path d="M{LEFT} {y(rate):.1f}H{WIDTH - 8}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{y(rate) + 3:.1f}" text-anchor="end" fill="#444">{rate:g}</text>')
    for seconds in range(0, int(length - BEFORE) + 1, 5):
        at = x(seconds + BEFORE)
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - 8}" text-anchor="middle" fill="#444">{seconds}</text>')
    parts.append(f'<path d="M{x(BEFORE):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#888" stroke-dasharray="3 3"/>')
    for name, colour in (("up", UP), ("down", DOWN)):
        points = " ".join(f"{x(at):.1f},{y(rate):.1f}" for at, rate in lines[name])
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for place, (label, colour) in enumerate((("from the client", UP), ("to the client", DOWN))):
        parts.append(f'<text x="{LEFT + 8 + 100 * place}" y="{TOP + 8}" fill="{colour}">{label}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    rows, graphs = [], []
    for case, title in CASES.items():
        for mode in ("dual", "single"):
            kept = KEPT / f"{case}-{mode}.json"
            if not kept.exists():
                continue
            facts = json.loads(kept.read_text(encoding="utf-8"))
            figures = "; ".join(f"{name} {text}" for name, text in facts["figures"].items())
            rows.append(f"| {title} | `{'/rtc/v1' if mode == 'single' else '/rtc'}` | {figures} |")
            if mode == "single" or not (KEPT / f"{case}-single.json").exists():
                drawing = picture(title, facts["leg"], facts["began"])
                (PICTURES / f"{case}.svg").write_text(drawing, encoding="utf-8")
                graphs.append(f"**{title}**\n\n![{title}: kbit/s over seconds](networks/{case}.svg)")
    table = ["| the network | signalling | what was seen |", "|---|---|---|", *rows]
    measured = "\n".join([BEGIN, *table, "", "\n\n".join(graphs), END])
    page = PAGE.read_text(encoding="utf-8")
    page = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: measured, page, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")
    print(f"{len(rows)} cases, {len(graphs)} graphs in {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
