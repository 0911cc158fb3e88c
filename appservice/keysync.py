"""The bot's own `/sync`: messages to its device, changed device lists, counts of its keys.

Room events come by transaction; those in the answers only feed `appservice.catchup`. Room keys come from here: Synapse
drops what goes to devices by transaction while the service is away (element-hq/synapse#14710), and keeps it for the
device until the next sync acknowledges it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import structlog
from mautrix.api import Method, Path
from mautrix.errors import MatrixRequestError

from appservice.api import HomeserverApi
from appservice.crypto import Encryption

WAIT_MILLISECONDS = 30_000
TIMELINE = 50  # events per room: what is beyond is left to the transactions
PAUSE_AFTER_REFUSAL = 10.0  # seconds; a refused sync means that the device is gone, which `repair` mends

log = structlog.get_logger("matrix")

_NOTHING = {"types": [], "limit": 0}
_FILTER = json.dumps(
    {
        "presence": _NOTHING,
        "account_data": _NOTHING,
        "room": {
            "timeline": {"limit": TIMELINE, "lazy_load_members": True},
            "state": _NOTHING,
            "ephemeral": _NOTHING,
            "account_data": _NOTHING,
        },
    }
)


async def sync_keys(
    api: HomeserverApi,
    encryption: Encryption,
    arrived: Callable[[list[str]], Awaitable[None]],
    repair: Callable[[], Awaitable[None]],
    answered: Callable[[object, bool], None],
) -> None:
    """Sync until cancelled. `arrived` is given the ids of room keys; `repair` makes the device anew; `answered` is
    given every answer and whether it is the first one, whose timelines are history, at least every
    `WAIT_MILLISECONDS`.
    """
    while True:
        try:
            await _sync_once(api, encryption, arrived, answered)
        except MatrixRequestError as problem:
            log.warning("the homeserver refused to sync", errcode=problem.errcode, status=problem.http_status)
            await asyncio.sleep(PAUSE_AFTER_REFUSAL)
            await _try(repair)
        except Exception:
            log.exception("syncing keys failed, trying again")
            await asyncio.sleep(PAUSE_AFTER_REFUSAL)


async def _sync_once(
    api: HomeserverApi,
    encryption: Encryption,
    arrived: Callable[[list[str]], Awaitable[None]],
    answered: Callable[[object, bool], None],
) -> None:
    query = {"filter": _FILTER, "set_presence": "offline", "timeout": "0"}
    if encryption.since:
        query |= {"since": encryption.since, "timeout": str(WAIT_MILLISECONDS)}
    answer = await api.request(Method.GET, Path.v3.sync, query_params=query)
    answered(answer, not encryption.since)
    keys = await encryption.take_in(answer)
    if keys:
        await arrived(keys)


async def _try(repair: Callable[[], Awaitable[None]]) -> None:
    try:
        await repair()
    except Exception:
        log.exception("the bot's device could not be repaired")
