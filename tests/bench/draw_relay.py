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
KEEPS_UP = 0.97  # of what was due, as in the bench
LEFT, RIGHT, WIDTH, BAR, GAP, HEAD = 225, 175, 780, 20, 8, 28
NOTE = "Processor time per packet that a subscriber got, AES-128-GCM; 1 is protect and sendto in C alone (dashed)"


def text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}"{more}>{words}</text>'


def panel(y: float, title: str, bars: list[tuple[str, float, bool]], scale: float) -> tuple[list[str], float]:
    """Bars of (relay, times the floor, whether it kept up), and the floor as a line. Returns where they end, too."""
    drawn, top = [text(0, y + 16, title, ' font-weight="bold"')], y + HEAD
    for row, (name, times, kept_up) in enumerate(bars):
        y = top + row * (BAR + GAP)
        width, late = times * scale, "" if kept_up else ", did not keep up"
        drawn.append(text(LEFT - 10, y + 15, NAMES[name], ' text-anchor="end"'))
        drawn.append(f'<rect x="{LEFT}" y="{y:.0f}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[name]}"/>')
        drawn.append(text(LEFT + width + 6, y + 15, f"{times:.2f}{late}"))
    bottom = top + len(bars) * (BAR + GAP)
    ends = f'x1="{LEFT + scale:.1f}" x2="{LEFT + scale:.1f}" y1="{top - 4:.0f}" y2="{bottom:.0f}"'
    drawn.append(f'<line {ends} stroke="#222" stroke-dasharray="4 3"/>')
    return drawn, bottom + 14


def picture(result: dict[str, Any]) -> str:
    """An SVG."""
    measured = {(one["relay"], one["subscribers"], one["profile"], one["pace"]): one for one in result["measured"]}
    panels = []
    for count, pace, title in PANELS:
        floor = result["floor_us"][f"n{count}_{PROFILE}"]
        found = [(name, measured.get((name, count, PROFILE, pace))) for name in NAMES]
        bars = [(name, one["us"] / floor, one["delivered"] >= KEEPS_UP) for name, one in found if one]
        panels.append((title, bars))
    scale = (WIDTH - LEFT - RIGHT) / max(times for _, bars in panels for _, times, _ in bars)
    drawn, y = [], 0.0
    for title, bars in panels:
        lines, y = panel(y, title, bars, scale)
        drawn += lines
    drawn.append(text(0, y + 10, NOTE, ' font-size="12" fill="#555"'))
    size = f'width="{WIDTH + 12}" height="{y + 30:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 -6 {WIDTH + 12} {y + 30:.0f}" {size}'
    return "\n".join(
        (
            f'{head} font-family="sans-serif" font-size="14">',
            f'<rect x="-12" y="-6" {size} fill="#fff"/>',
            *drawn,
            "</svg>",
            "",
        )
    )


if __name__ == "__main__":
    sys.stdout.write(picture(json.loads(sys.stdin.read().splitlines()[-1])))
