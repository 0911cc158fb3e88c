"""What a room's state means: who may do what, is it encrypted, what is it called. Pure.

https://spec.matrix.org/v1.16/client-server-api/#mroompower_levels. Contents are anybody's JSON and read with tolerance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from appservice.acl import SERVER_ACL, server_allowed
from appservice.events import as_id, as_int, as_object, as_text, as_texts
from appservice.seams import RoomView
from palabre.base.ids import RoomId, UserId

ACCESS_RULES = "im.vector.room.access_rules"  # Tchap: who may be in the room
CREATOR_POWER = 2**53  # beyond any number of a power_levels event
# The first stable version in which creators stand above power levels, and its trial name (MSC4289).
CREATORS_VERSION = 12
CREATORS_TRIAL = "org.matrix.hydra.11"
TEXT_POWER_VERSION = 9  # up to here a level may be written as text
MAX_NAME = 250  # characters of a room or display name that we pass on


@dataclass(frozen=True)
class Member:
    """A user's member event in a room."""

    membership: str = "leave"
    display_name: str = ""


@dataclass(frozen=True)
class RoomState:
    """Contents of the room's state by event type, those with an empty state key; and who wrote `m.room.create`."""

    room_id: str
    creator: str = ""
    contents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def content(self, event_type: str) -> Mapping[str, Any]:
        return self.contents.get(event_type, {})

    @property
    def version(self) -> str:
        """https://spec.matrix.org/v1.16/client-server-api/#mroomcreate: absent means 1."""
        return as_text(self.content("m.room.create").get("room_version"), 64) or "1"

    @property
    def creators(self) -> frozenset[str]:
        """Users above every power level: in room version 12 those who created the room, before it nobody."""
        if not creators_rule(self.version):
            return frozenset()
        additional = as_texts(self.content("m.room.create").get("additional_creators"))
        return frozenset({self.creator, *additional}) - {""}

    @property
    def encrypted(self) -> bool:
        """Once there was an encryption event the room stays encrypted, whatever it says now."""
        return "m.room.encryption" in self.contents

    @property
    def name(self) -> str:
        name = as_text(self.content("m.room.name").get("name")).strip()
        return name[:MAX_NAME] or as_id(self.content("m.room.canonical_alias").get("alias"), "#")

    @property
    def access_rule(self) -> str:
        """`restricted`, `unrestricted` or `direct`, and nothing where the homeserver has no such rules.

        https://github.com/matrix-org/synapse-dinsic: read-only for us, the homeserver's module enforces it.
        """
        return as_text(self.content(ACCESS_RULES).get("rule"), 64)

    def server_allowed(self, user_id: str) -> bool:
        """Whether the room lets the server of that user take part."""
        return server_allowed(user_id.partition(":")[2], self.contents.get(SERVER_ACL))

    def power(self, user_id: str) -> int:
        if user_id in self.creators:
            return CREATOR_POWER
        if "m.room.power_levels" not in self.contents:
            return 100 if user_id == self.creator else 0
        levels = self.content("m.room.power_levels")
        default = self._level(levels.get("users_default"), 0)
        return self._level(as_object(levels.get("users")).get(user_id), default)

    def power_for_state(self, event_type: str) -> int:
        """Power needed to send that state event."""
        if "m.room.power_levels" not in self.contents:
            return 0
        return self.required_power().get(event_type, self._state_default())

    def power_for_message(self, event_type: str) -> int:
        """Power needed to send that message event."""
        events = as_object(self.content("m.room.power_levels").get("events"))
        return self._level(events.get(event_type), self.events_default)

    @property
    def default_power(self) -> int:
        """Of those who have none of their own."""
        return self._level(self.content("m.room.power_levels").get("users_default"), 0)

    @property
    def events_default(self) -> int:
        """Power needed to write."""
        return self._level(self.content("m.room.power_levels").get("events_default"), 0)

    def required_power(self) -> dict[str, int]:
        """Event types that the room has a level for, and the default of state events under the name `""`."""
        events = as_object(self.content("m.room.power_levels").get("events"))
        default = self._state_default()
        return {"": default} | {kind: self._level(level, default) for kind, level in events.items()}

    def view(self, user_id: str, member: Member, bot_id: str) -> RoomView:
        """For a room that the bot is joined to."""
        return RoomView(
            room_id=RoomId(self.room_id),
            name=self.name,
            encrypted=self.encrypted,
            version=self.version,
            bot_joined=True,
            membership=member.membership,
            power=self.power(user_id),
            bot_power=self.power(bot_id),
            display_name=member.display_name or user_id,
            required_power=self.required_power(),
            server_allowed=self.server_allowed(user_id),
            access_rule=self.access_rule,
        )

    def _state_default(self) -> int:
        present = "m.room.power_levels" in self.contents
        return self._level(self.content("m.room.power_levels").get("state_default"), 50) if present else 0

    def _level(self, value: object, default: int) -> int:
        if isinstance(value, str) and self.version.isdigit() and int(self.version) <= TEXT_POWER_VERSION:
            try:
                return int(value.strip()) if len(value) < 20 else default
            except ValueError:
                return default
        return as_int(value, default)


def creators_rule(version: str) -> bool:
    """Whether creators of rooms of that version stand above power levels."""
    return version == CREATORS_TRIAL or (version.isdigit() and len(version) < 4 and int(version) >= CREATORS_VERSION)


def unseen_room(room_id: RoomId, user_id: UserId) -> RoomView:
    """What the bot sees of a room that it is not in: nothing."""
    return RoomView(room_id, "", False, "", False, "leave", 0, 0, user_id, {})


def read_member(content: Mapping[str, Any]) -> Member:
    name = as_text(content.get("displayname")).strip()[:MAX_NAME]
    return Member(as_text(content.get("membership"), 32) or "leave", name)
