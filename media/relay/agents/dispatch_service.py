"""LiveKit's AgentDispatchService: agents sent into rooms through an API key. Twirp carries it.

https://docs.livekit.io/agents/server/agent-dispatch/
"""

from __future__ import annotations

from collections.abc import Mapping

from livekit.protocol import agent_dispatch

from media.relay.agents.dispatcher import Dispatcher
from media.relay.room import Room
from media.relay.rooms import Rooms
from media.relay.seams import Grants
from media.relay.settings import Limits
from media.relay.twirp import Method, TwirpError, require


class AgentDispatchService:
    """Stateless. Every method needs `roomAdmin` for the room that it names."""

    def __init__(self, rooms: Rooms, dispatcher: Dispatcher, limits: Limits) -> None:
        self._rooms = rooms
        self._dispatcher = dispatcher
        self._limits = limits

    def methods(self) -> Mapping[str, Method]:
        return {
            "CreateDispatch": Method(agent_dispatch.CreateAgentDispatchRequest, self.create),
            "DeleteDispatch": Method(agent_dispatch.DeleteAgentDispatchRequest, self.delete),
            "ListDispatch": Method(agent_dispatch.ListAgentDispatchRequest, self.list),
        }

    async def create(
        self, grants: Grants, request: agent_dispatch.CreateAgentDispatchRequest
    ) -> agent_dispatch.AgentDispatch:
        room = self._administered(grants, request.room, create=self._rooms.auto_create)
        size = sum(len(key.encode()) + len(value.encode()) for key, value in request.attributes.items())
        if len(request.metadata.encode()) > self._limits.metadata or size > self._limits.attributes:
            raise TwirpError("invalid_argument", "metadata or attributes are too long")
        wish = agent_dispatch.RoomAgentDispatch(
            agent_name=request.agent_name,
            metadata=request.metadata,
            deployment=request.deployment,
            attributes=request.attributes,
        )
        return self._dispatcher.create(room, wish)

    async def delete(
        self, grants: Grants, request: agent_dispatch.DeleteAgentDispatchRequest
    ) -> agent_dispatch.AgentDispatch:
        room = self._administered(grants, request.room)
        return self._dispatcher.delete(room.name, request.dispatch_id)

    async def list(
        self, grants: Grants, request: agent_dispatch.ListAgentDispatchRequest
    ) -> agent_dispatch.ListAgentDispatchResponse:
        room = self._administered(grants, request.room)
        found = self._dispatcher.of_room(room.name, request.dispatch_id)
        return agent_dispatch.ListAgentDispatchResponse(agent_dispatches=found)

    def _administered(self, grants: Grants, name: str, *, create: bool = False) -> Room:
        """Where joins create rooms, a dispatch does too."""
        require(grants.room_admin and bool(name) and grants.room == name)
        return self._rooms.create(name, self._rooms.default_options()) if create else self._rooms.get(name)
