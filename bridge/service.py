"""The face of the package: builds its parts, starts and ends them, and gives palabre and web what they plug in.

`admission` and `listener` go into the relay, `commands` into the bot; web calls `entrance` and `conference`.
"""

from __future__ import annotations

from appservice.seams import CommandHandler, MatrixPort
from bridge.settings import BridgeSettings
from media.relay.seams import Admission, RelayControl, RelayListener
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.tasks import Supervisor


class BridgeService:
    """One per process. Owns nothing of what it is given but the tasks it spawns on `tasks`.

    Order in the composition root: build the bot and the relay, build this, give `commands` to the bot and `admission`
    and `listener` to the relay, `await start()`, then let the relay and the bot take work. `await close()` before the
    relay, the bot and the database end.
    """

    admission: Admission
    listener: RelayListener
    commands: CommandHandler

    def __init__(
        self,
        settings: BridgeSettings,
        database: Database,  # with `bridge.schema.upgrade_table` applied
        matrix: MatrixPort,
        relay: RelayControl,
        *,
        http: object,  # palabre.base.http: the outbound client with the address guard
        clock: Clock,
        tasks: Supervisor,
    ) -> None:
        self.settings = settings
        self.tasks = tasks

    async def start(self) -> None:
        """Finish what a crash left: calls, captures, jobs and posts; then keep them going."""

    async def close(self) -> None:
        """Close running captures cleanly (the next start makes their artefacts) and end the workers."""
