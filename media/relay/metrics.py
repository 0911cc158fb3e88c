"""The relay's counters. Labels are from closed sets; rooms and people are no labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from palabre.base.metrics import counter, expose_counts, gauge

ROOMS = gauge("relay_rooms", "Rooms that exist")
PARTICIPANTS = gauge("relay_participants", "Participants, whether their media are connected or not")
JOINS = counter("relay_joins", "Connections accepted", ["mode"])  # dual, single, resume
REFUSALS = counter("relay_refusals", "Connections refused before the upgrade, by HTTP status", ["status"])
PEER_ERRORS = counter("relay_peer_errors", "What clients sent that breaks the protocol", ["what"])
WEBHOOKS = counter(
    "relay_webhooks", "Requests to webhooks by outcome", ["outcome"]
)  # delivered, refused, failed, dropped

# What the packet path and the ports drop is counted there; every running relay adds its own.
DROPS: list[Callable[[], Mapping[str, int]]] = []


def _drops() -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for read in DROPS:
        total.update(read())
    return total


expose_counts("relay_dropped_datagrams", "What arrived on the media ports and was dropped", "reason", _drops)
