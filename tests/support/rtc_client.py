"""Announcing calls as MatrixRTC clients do, on a user of the tests: the events alone, no media."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import uuid4

from palabre.demo.matrix_user import MatrixUser

SESSION = "org.matrix.msc3401.call.member"
STICKY = "org.matrix.msc4143.rtc.member"
# What a homeserver needs for all of it; docs/matrix-calls.md.
SWITCHES = {"experimental_features": {"msc4354_enabled": True}}


def session_content(device_id: str, focus: str, **changes: Any) -> dict[str, Any]:
    """As Element Call 0.26 writes it in its default mode."""
    return {
        "application": "m.call",
        "call_id": "",
        "scope": "m.room",
        "device_id": device_id,
        "expires": 14_400_000,
        "focus_active": {"type": "livekit", "focus_selection": "multi_sfu"},
        "foci_preferred": [{"type": "livekit", "livekit_service_url": focus}],
        **changes,
    }


async def join_session(user: MatrixUser, room_id: str, focus: str, *, device: str = "", **changes: Any) -> str:
    """A session member event. Returns its state key."""
    device = device or user.account.device_id
    key = f"_{user.user_id}_{device}_m.call"
    await user.set_state(room_id, SESSION, session_content(device, focus, **changes), key)
    return key


async def leave_session(user: MatrixUser, room_id: str, state_key: str) -> None:
    await user.set_state(room_id, SESSION, {}, state_key)


def sticky_content(user: MatrixUser, focus: str, key: str) -> dict[str, Any]:
    return {
        "application": {"type": "m.call"},
        "slot_id": "m.call#ROOM",
        "transports": {"published": [{"type": "livekit", "livekit_service_url": focus}], "can_subscribe": ["livekit"]},
        "member": {"device_id": user.account.device_id, "user_id": user.user_id, "id": key},
        "versions": [],
        "msc4354_sticky_key": key,
    }


async def send_sticky(
    user: MatrixUser, room_id: str, content: dict[str, Any], *, encrypted: bool, milliseconds: int = 3_600_000
) -> str:
    """A sticky member event, or the leave `{"msc4354_sticky_key": …}`; send a message before the first encrypted one,
    so that the room key is shared.
    """
    kind = STICKY
    if encrypted:
        kind, content = user.client.encrypt(room_id, STICKY, content)
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/send/{kind}/{uuid4()}"
    sent = await user.call("PUT", f"{path}?org.matrix.msc4354.sticky_duration_ms={milliseconds}", content)
    return str(sent["event_id"])
