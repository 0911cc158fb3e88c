"""What every part of one relay shares: settings, clock, the packet path, ports, numbers. No behaviour of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from media.relay.leg import Transport
from media.relay.plane.api import RtpPlane
from media.relay.settings import RelaySettings
from media.relay.transport.peer import TransportObserver
from palabre.base.clock import Clock
from palabre.base.tasks import Supervisor


class Timer(Protocol):
    """Something scheduled that can be called off."""

    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]  # seconds from now, on the event loop


@dataclass(frozen=True)
class Environment:
    """Made once by `Relay`."""

    settings: RelaySettings
    clock: Clock
    tasks: Supervisor
    plane: RtpPlane
    make_transport: Callable[[TransportObserver], Transport]
    candidates: Callable[[], tuple[str, ...]]
    later: Later
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))  # names in the packet path
