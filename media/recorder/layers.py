"""Which simulcast layer of a track is shown when, and what must be decoded for it. Pure.

The best layer that flows is shown. Because the whole recording is known, a layer is decoded from the last key frame
*before* it is shown, so that a change of layer never freezes the picture.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from media.recorder.index import LayerIndex
from media.recorder.spans import Span, Spans, contains, intersect, union

RANKS = {"q": 0, "h": 1, "f": 2}  # LiveKit's rids in order of quality; without simulcast there is one layer
FLAP = 0.5  # seconds: a better layer that flows for less is not worth a change


@dataclass(frozen=True)
class LayerPlan:
    """For one SSRC, in film seconds: frames in `decode` go through the decoder, those in `show` are seen."""

    decode: Spans
    show: Spans


def plan_layers(layers: Sequence[LayerIndex], wanted: Spans) -> dict[int, LayerPlan]:
    """Plans by SSRC; `wanted` is when the track is on screen at all. Layers that are never shown are left out."""
    ranked = sorted(layers, key=_rank)
    shown = _shown(ranked, wanted)
    return {
        layer.layer.ssrc: LayerPlan(_from_keys(layer, shown[number]), shown[number])
        for number, layer in enumerate(ranked)
        if shown[number]
    }


def _rank(layer: LayerIndex) -> tuple[int, float]:
    """Quality, then age: of two equal ones the newer is the one that the sender uses now."""
    return RANKS.get(layer.layer.rid, 0), layer.spans[0][0] if layer.spans else 0.0


def _shown(ranked: Sequence[LayerIndex], wanted: Spans) -> list[Spans]:
    flows = [tuple(span for span in layer.spans if span[1] - span[0] > FLAP) for layer in ranked]
    if not any(flows):
        flows = [layer.spans for layer in ranked]
    edges = sorted({edge for spans in (*flows, wanted) for span in spans for edge in span})
    shown: list[list[Span]] = [[] for _ in ranked]
    current = -1
    for start, end in pairwise(edges):
        middle = (start + end) / 2
        if not contains(wanted, middle):
            continue
        flowing = [number for number, spans in enumerate(flows) if contains(spans, middle)]
        if flowing:
            current = flowing[-1]
        if current >= 0:  # where nothing flows, the last picture stays
            shown[current].append((start, end))
    return [intersect(union(spans), wanted) for spans in shown]


def _from_keys(layer: LayerIndex, shown: Spans) -> Spans:
    """`shown`, each span begun at the key frame before it."""
    spans: list[Span] = []
    for start, end in shown:
        number = bisect_right(layer.keys, start) - 1
        spans.append((layer.keys[number] if number >= 0 else start, end))
    return union(spans)
