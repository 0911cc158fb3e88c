"""The picture of docs/performance.md, from what `make bench-relay` printed: `draw_relay.py < output > picture.svg`."""

from __future__ import annotations

import json
import sys
from typing import Any

NAMES = {
    "thread": "Palabre",
    "python": "Palabre, packet path in Python",
    "janus_el1": "Janus, one event loop",
    "janus_default": "Janus, default",
}
COLOURS = {"thread": "#1a7f5a", "python": "#8fbfae", "janus_el1": "#b4632d", "janus_default": "#d9ae8f"}
PANELS = (
    (20, "900", "20 subscribers, 900 packets/s, evenly"),
    (20, "2000_bursts", "20 subscribers, 2,000 packets/s, ten at once"),
    (100, "900", "100 subscribers, 900 packets/s, evenly"),
)
PROFILE = "gcm"
LEFT, RIGHT, WIDTH, BAR, GAP, HEAD = 220, 70, 760, 20, 8, 40


def text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" {more}>{words}</text>'


def panel(y: float, title: str, bars: list[tuple[str, float]], widest: float, floor: float) -> tuple[list[str], float]:
    """Bars of microseconds, with the floor as a line. Returns what is drawn, and where it ends."""
    scale = (WIDTH - LEFT - RIGHT) / widest
    drawn, top = [text(0, y + 16, title, 'font-weight="bold"')], y + HEAD - 12
    for name, us in bars:
        y = top
        drawn.append(text(LEFT - 10, y + 15, NAMES[name], 'text-anchor="end"'))
        drawn.append(f'<rect x="{LEFT}" y="{y}" width="{us * scale:.1f}" height="{BAR}" fill="{COLOURS[name]}"/>')
        drawn.append(text(LEFT + us * scale + 6, y + 15, f"{us:.2f} µs"))
        top += BAR + GAP
    x = LEFT + floor * scale
    ends = f'y1="{top - len(bars) * (BAR + GAP) - 4}" y2="{top}"'
    drawn.append(f'<line x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="#222" stroke-dasharray="4 3"/>')
    return drawn, top + 14


def picture(result: dict[str, Any]) -> str:
    """An SVG."""
    costs = {(one["relay"], one["subscribers"], one["pace"]): one["us"] for one in result["measured"]
             if one["profile"] == PROFILE}  # fmt: skip
    rows = [
        (title, [(name, costs[name, count, pace]) for name in NAMES if (name, count, pace) in costs], count)
        for count, pace, title in PANELS
    ]
    widest = max(us for _, bars, _ in rows for _, us in bars)
    drawn, y = [], 0.0
    for title, bars, count in rows:
        lines, y = panel(y, title, bars, widest, result["floor_us"][f"n{count}_{PROFILE}"])
        drawn += lines
    note = "µs of CPU per packet that a subscriber got, AES-128-GCM; dashed: protect and sendto in C alone"
    drawn.append(text(0, y + 10, note, 'font-size="12" fill="#555"'))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -6 {WIDTH + 12} {y + 30:.0f}"'
            ' font-family="sans-serif" font-size="14">',
            f'<rect x="-12" y="-6" width="{WIDTH + 12}" height="{y + 30:.0f}" fill="#fff"/>',
            *drawn,
            "</svg>",
            "",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(picture(json.loads(sys.stdin.read().splitlines()[-1])))
