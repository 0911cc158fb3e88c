"""What grants allow in a room: who may join and publish what, and how grants shrink. Pure; `tokens` reads them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from livekit.protocol import models

from media.relay.seams import Grants, TrackSource
from palabre.base.errors import CallerError

MAX_IDENTITY = 256  # characters, LiveKit's limits
MAX_ROOM_NAME = 256
# Attributes that begin so are written through `RelayControl` alone: people read from them who somebody is, and what
# they agreed to.
RESERVED_ATTRIBUTES = "palabre."

SOURCES = {
    models.UNKNOWN: TrackSource.UNKNOWN,
    models.CAMERA: TrackSource.CAMERA,
    models.MICROPHONE: TrackSource.MICROPHONE,
    models.SCREEN_SHARE: TrackSource.SCREEN_SHARE,
    models.SCREEN_SHARE_AUDIO: TrackSource.SCREEN_SHARE_AUDIO,
}
_NUMBERS = {source: number for number, source in SOURCES.items()}


def check_join(grants: Grants) -> None:
    """May this token join the room that it names? Raises `CallerError` with why not."""
    if not grants.room_join:
        raise CallerError("not_granted", "the access token does not allow joining a room (roomJoin)", status=401)
    if not grants.room or len(grants.room) > MAX_ROOM_NAME:
        raise CallerError("bad_room", f"the room's name must have 1 to {MAX_ROOM_NAME} characters")
    if not grants.identity or len(grants.identity) > MAX_IDENTITY:
        raise CallerError("bad_identity", f"the identity (sub) must have 1 to {MAX_IDENTITY} characters")


def check_visible(grants: Grants) -> None:
    """Nobody listens unseen: `hidden` goes only with not subscribing. Raises `CallerError`."""
    if grants.hidden and grants.can_subscribe:
        raise CallerError(
            "hidden_listener", "a hidden participant may not subscribe: nobody listens unseen here", status=403
        )


def may_publish(grants: Grants, source: TrackSource) -> bool:
    if not grants.can_publish:
        return False
    return not grants.can_publish_sources or source in grants.can_publish_sources


def reserved(attributes: Iterable[str]) -> bool:
    """Whether one of these names is the service's own."""
    return any(name.startswith(RESERVED_ATTRIBUTES) for name in attributes)


def check_attributes(attributes: Iterable[str]) -> None:
    """May clients and holders of API keys write these? Raises `CallerError`."""
    if reserved(attributes):
        raise CallerError(
            "reserved_attribute", f"attributes “{RESERVED_ATTRIBUTES}…” are the service's own", status=403
        )


def as_message(grants: Grants) -> models.ParticipantPermission:
    """As clients are shown it."""
    return models.ParticipantPermission(
        can_subscribe=grants.can_subscribe,
        can_publish=grants.can_publish,
        can_publish_data=grants.can_publish_data,
        can_publish_sources=[_NUMBERS[source] for source in grants.can_publish_sources],
        hidden=grants.hidden,
        recorder=grants.recorder,
        can_update_metadata=grants.can_update_own_metadata,
        agent=grants.agent,
    )


def with_message(grants: Grants, permission: models.ParticipantPermission) -> Grants:
    """`grants` with what RoomService's UpdateParticipant says; that replaces every permission.

    Except `hidden`: nobody disappears from a call, or turns out to have been there.
    """
    return replace(
        grants,
        can_subscribe=permission.can_subscribe,
        can_publish=permission.can_publish,
        can_publish_data=permission.can_publish_data,
        can_publish_sources=tuple(SOURCES[number] for number in permission.can_publish_sources if number in SOURCES),
        can_update_own_metadata=permission.can_update_metadata,
    )


def narrowed(current: Grants, other: Grants) -> Grants:
    """What both allow. A resume must not give back what was taken during the call, nor keep what no longer holds."""
    if not current.can_publish_sources or not other.can_publish_sources:
        sources = current.can_publish_sources or other.can_publish_sources
        nothing_left = False
    else:
        sources = tuple(source for source in current.can_publish_sources if source in other.can_publish_sources)
        nothing_left = not sources
    return replace(
        current,
        can_publish=current.can_publish and other.can_publish and not nothing_left,
        can_subscribe=current.can_subscribe and other.can_subscribe,
        can_publish_data=current.can_publish_data and other.can_publish_data,
        can_publish_sources=sources,
        can_update_own_metadata=current.can_update_own_metadata and other.can_update_own_metadata,
        by_consent=current.by_consent or other.by_consent,
        expires_at=other.expires_at,
    )
