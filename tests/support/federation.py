"""Several real homeservers that federate over TLS, each perhaps with a Palabre of its own.

homes = await federation(2, palabres=1)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from palabre.demo.homeserver import Homeserver
from tests.support.deployment import Deployment
from tests.support.element_call.home import Home, focus_url, switches
from tests.support.synapse import AppserviceSlot, make_slot

NewHomeserver = Callable[..., Homeserver]
NewDeployment = Callable[[Homeserver, AppserviceSlot], Deployment]
Prepare = Callable[[Deployment, list[Deployment]], None]
Federation = Callable[..., Awaitable[list[Home]]]


def found(
    new_homeserver: NewHomeserver, new_deployment: NewDeployment, servers: int, palabres: int | None = None
) -> list[Home]:
    """Not yet started: the first `palabres` of them (all, by default) have a Palabre; the others' people call on the
    first one's."""
    made: list[Home] = []
    focus = ""
    for number in range(servers):
        homeserver = new_homeserver(federation=servers > 1, server_name="")
        palabre = None
        if number < (servers if palabres is None else palabres):
            slot = make_slot(homeserver, f"palabre{number}")
            homeserver.registrations.append(slot.registration())
            palabre = new_deployment(homeserver, slot)
            focus = focus_url(palabre.url)
        homeserver.extra |= switches(focus)
        made.append(Home(homeserver, palabre))
    return made


async def start(homes: list[Home], folder: Path, prepare: Prepare = lambda palabre, others: None) -> None:
    """The homeservers, then the Palabres, which know each other and trust all certificates; `prepare` may change the
    settings of each, told of the other ones."""
    await asyncio.gather(*(asyncio.to_thread(home.homeserver.start) for home in homes))
    services = [home.palabre for home in homes if home.palabre is not None]
    authorities = folder / "authorities.pem"
    if len(homes) > 1:
        authorities.write_text("".join((home.homeserver.folder / "tls.crt").read_text() for home in homes))
    for home in homes:
        if home.palabre is None:
            continue
        _acquaint(home.palabre, [other for other in homes if other is not home])
        prepare(home.palabre, [one for one in services if one is not home.palabre])
        if len(homes) > 1:
            home.palabre.environment["SSL_CERT_FILE"] = str(authorities)
        await home.palabre.start()


def _acquaint(palabre: Deployment, others: list[Home]) -> None:
    """Settings for calls with people of other servers."""
    palabre.settings["appservice"]["invited_by"] = [other.server_name for other in others]
    apis = [{"name": other.server_name, "url": other.homeserver.url} for other in others]
    palabre.settings["bridge"]["focus"] = {"client_apis": apis}


@pytest.fixture
def federation(new_homeserver: NewHomeserver, new_deployment: NewDeployment, tmp_path: Path) -> Federation:
    """`homes = await federation(3, palabres=1, prepare=…)`, all running."""

    async def make(
        servers: int = 2, *, palabres: int | None = None, prepare: Prepare = lambda palabre, others: None
    ) -> list[Home]:
        homes = found(new_homeserver, new_deployment, servers, palabres)
        await start(homes, tmp_path, prepare)
        return homes

    return make
