"""Arithmetic of time spans: sorted, disjoint (start, end) pairs in film seconds. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

Span = tuple[float, float]
Spans = tuple[Span, ...]


def union(spans: Iterable[Span], *, gap: float = 0.0) -> Spans:
    """Sorted and joined, also over holes of up to `gap` seconds. Empty spans vanish."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if joined and start <= joined[-1][1] + gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return tuple(joined)


def intersect(one: Iterable[Span], other: Iterable[Span]) -> Spans:
    """What is in both."""
    left, right = list(one), list(other)
    common: list[Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        start, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if start < end:
            common.append((start, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return tuple(common)


def subtract(spans: Iterable[Span], removed: Iterable[Span]) -> Spans:
    """What is in `spans` and not in `removed`."""
    taken = union(removed)
    kept: list[Span] = []
    for start, end in spans:
        at = start
        for cut_start, cut_end in taken:
            if cut_end <= at or cut_start >= end:
                continue
            if cut_start > at:
                kept.append((at, cut_start))
            at = max(at, cut_end)
        if at < end:
            kept.append((at, end))
    return tuple(kept)


def contains(spans: Spans, at: float) -> bool:
    """Whether `at` is in one of the spans; their ends are not."""
    number = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return number >= 0 and at < spans[number][1]


def total(spans: Iterable[Span]) -> float:
    """Seconds."""
    return sum(end - start for start, end in spans)
