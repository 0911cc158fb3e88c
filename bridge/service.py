"""The face of the package: builds its parts, starts and ends them, and gives palabre and web what they plug in.

`admission`, `listener` and `egress` go into the relay, `commands` into the bot, `homeserver_listener` to whoever
watches homeservers; web calls `entrance`, `focus` and `conference`. What is kept of calls is put together in
`bridge.recordings`, the rest here: the rules of rooms, the calls, the ways in, the commands.
"""

from __future__ import annotations

import asyncio

from appservice.confirmations import Confirmations
from appservice.federation.opening import Federation
from appservice.seams import MatrixPort
from bridge.admission import CallAdmission
from bridge.agents import Agents
from bridge.artefacts import RunWorker
from bridge.calls import Calls
from bridge.client_api import ClientApis
from bridge.commands import Commands
from bridge.conference import Conference
from bridge.consent_commands import ConsentCommands
from bridge.egress import Egresses
from bridge.entrance import Entrance
from bridge.focus import Focus
from bridge.focus_proxy import FocusProxy
from bridge.homeserver_admin import HomeserverAdmin
from bridge.homeserver_commands import HomeserverCommands, confirmation_key
from bridge.homeserver_policy import RefusedLeave, StoredPolicy
from bridge.jobs import run_worker
from bridge.leaving import DelegatedLeaves
from bridge.moderation import Moderation
from bridge.openid import OpenIdVerifier
from bridge.recorder_link import OpenLink, RecorderLink
from bridge.recordings import Recordings
from bridge.relay_view import RelayPresence
from bridge.ringing import Ringing
from bridge.room_questions import RoomQuestions
from bridge.room_watch import RoomWatch
from bridge.settings import BridgeSettings
from bridge.stores import Stores
from media.relay.seams import RelayControl
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.tasks import Supervisor


class BridgeService:
    """One per process. Owns nothing of what it is given but the tasks it spawns on `tasks`.

    Order in the composition root: build the bot and the relay, build this, give `commands` to the bot and `admission`
    and `listener` to the relay, start the relay, `await start()`. What comes before `start` is done waits for it.
    `await close()` before the relay, the bot and the database end.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        database: Database,  # with `bridge.schema.upgrade_table` applied
        matrix: MatrixPort,
        relay: RelayControl,
        *,
        federation: Federation,  # whose `http` trusts what `settings.focus` names
        clock: Clock,
        tasks: Supervisor,
        worker: RunWorker = run_worker,
        open_link: OpenLink = RecorderLink.open,
    ) -> None:
        self.settings = settings
        self.server_name = matrix.server_name
        self._database = database
        self._matrix = matrix
        self._relay = relay
        self._federation = federation
        self._clock = clock
        self._tasks = tasks
        self._recovered = asyncio.Event()
        self._stores = stores = Stores.over(database, clock, settings.session_ttl)
        self._recordings = Recordings(
            settings, database, stores, matrix, relay, clock, tasks, run_worker=worker, open_link=open_link
        )
        self.captures = self._recordings.captures
        self._leaves = DelegatedLeaves(stores.leaves, federation.http, clock, tasks)

        # What rooms and homeservers decide.
        self._homeservers = StoredPolicy(federation.homeservers)
        self._questions = RoomQuestions(matrix, self._homeservers, settings, clock)
        self.watch = self._watch_rooms()
        self.homeserver_listener = RefusedLeave(self._homeservers, stores.calls, relay)

        # What happens in calls.
        self._moderation = self._moderate()
        self._ringing = self._ring()
        self._agents = self._watch_agents()
        self.listener = self._follow_calls()
        self.relay_view = RelayPresence(settings.foci, stores.meetings, stores.calls, relay)
        self.admission = CallAdmission(
            settings, matrix.user_id, self._questions, stores.meetings, stores.calls, self._recovered.wait
        )

        # What people and programs may ask for.
        self._openid = OpenIdVerifier(self._homeservers, federation.client)
        self.entrance = self._open_entrance()
        self.focus = self._open_focus()
        self.focus_proxy = FocusProxy(settings, matrix, self.focus, self._homeservers)
        self.conference = Conference(
            self.entrance,
            stores.calls,
            self.captures,
            self._recordings.forgetting,
            self._moderation,
            clock,
            settings.focus_url,
        )
        self.commands = self._take_commands()
        self.egress = self._take_egress_requests()
        self._recordings.told = self.egress.wake

    async def start(self) -> None:
        """Finish what a crash left: calls, captures, jobs and posts; then keep them going."""
        await self._recordings.recover()
        await self.listener.recover()
        await self._leaves.recover()
        self._recovered.set()
        self.relay_view.recovered = True
        self._tasks.spawn("call events", self.listener.run())
        self._tasks.spawn("calls alive", self.listener.keep_alive())
        self._tasks.spawn("room watch", self.watch.run())
        self._tasks.spawn("delegated leaves", self._leaves.run())
        self._tasks.spawn("egress", self.egress.run())
        self._tasks.spawn("agents", self._agents.run())
        self._recordings.run()

    async def close(self) -> None:
        """Leave calls and captures so that the next start goes on with them."""
        await self.listener.close()
        await self._recordings.close()

    # The parts, as the constructor needs them: each uses only those that it made before.

    def _watch_rooms(self) -> RoomWatch:
        return RoomWatch(
            self._questions,
            self._matrix,
            self._relay,
            self._stores.meetings,
            self._stores.calls,
            self._tasks,
            self._recovered.wait,
            recheck_seconds=self.settings.policy.recheck_seconds,
        )

    def _moderate(self) -> Moderation:
        return Moderation(
            self._database,
            self._questions,
            self._stores.calls,
            self._stores.posts,
            self._recordings.poster,
            self._relay,
            self.settings.policy,
            self._clock,
        )

    def _ring(self) -> Ringing:
        return Ringing(
            self.settings,
            self._matrix,
            self._stores.meetings,
            self._stores.calls,
            self._stores.posts,
            self._recordings.poster,
            self._stores.rings,
            self._clock,
            self._tasks,
        )

    def _watch_agents(self) -> Agents:
        recordings = self._recordings
        agents = Agents(
            self.settings,
            self._stores.meetings,
            self._stores.calls,
            recordings.gate,
            self._stores.posts,
            recordings.poster,
            self._relay,
            self._clock,
            self._tasks,
        )
        recordings.gate.answered = agents.answered
        return agents

    def _follow_calls(self) -> Calls:
        return Calls(
            self._database,
            self._stores.meetings,
            self._stores.calls,
            self._stores.posts,
            self._recordings.poster,
            self._relay,
            self._clock,
            base_url=self.settings.base_url,
            return_seconds=self.settings.return_seconds,
            observer=self.captures,
            arrived=self.watch.arrived,
            moved=self._agents.moved,
            leaves=self._leaves,
            members=self._matrix.rtc_members,
            track_changed=self._moderation.track_changed,
            started=self._ringing.call_started,
        )

    def _open_entrance(self) -> Entrance:
        return Entrance(
            self.settings,
            self._matrix,
            self._openid,
            self._homeservers,
            self._stores.sessions,
            self._stores.meetings,
            self._stores.calls,
            self.listener,
            self._clock,
            self._recovered.wait,
        )

    def _open_focus(self) -> Focus:
        return Focus(
            self.settings,
            self._questions,
            self._openid,
            self._homeservers,
            self._stores.meetings,
            self._stores.calls,
            self.listener,
            self._leaves,
            ClientApis(self.settings.focus.given_apis, self._federation.http, self._clock),
            self._clock,
            self._recovered.wait,
        )

    def _take_commands(self) -> Commands:
        return Commands(
            self.settings,
            self._matrix,
            self._homeservers,
            self._stores.meetings,
            self._stores.calls,
            self.watch,
            self.listener,
            self.captures,
            self._consent_commands(),
            self._moderation,
            self._ringing,
            self._stores.commands,
            self._homeserver_commands(),
            self._recovered.wait,
            self._clock,
        )

    def _take_egress_requests(self) -> Egresses:
        return Egresses(
            self.settings,
            self._matrix.user_id,
            self._questions,
            self._stores.meetings,
            self._stores.calls,
            self._stores.captures,
            self._stores.egress,
            self._recordings,
            self._relay,
            self._clock,
            self._recovered.wait,
        )

    def _consent_commands(self) -> ConsentCommands:
        return ConsentCommands(
            self.settings,
            self._matrix,
            self._stores.meetings,
            self._stores.calls,
            self.captures,
            self._recordings.forgetting,
            self._recordings.receipts,
            self._stores.commands,
            self._clock,
        )

    def _homeserver_commands(self) -> HomeserverCommands:
        federation = self._federation
        key = confirmation_key(self.settings.master_key.get_secret_value())
        return HomeserverCommands(
            self.settings,
            self._matrix,
            HomeserverAdmin(federation.homeservers, federation.watch, self._database, self._clock),
            Confirmations(federation.database, key, self._clock),
            self._stores.commands,
        )
