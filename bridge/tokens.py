"""The only place that signs access tokens for people: who they are and what they may do, for one call, for minutes.

The relay refreshes them while the person is there (`media.relay.tokens`).
"""

from __future__ import annotations

from bridge.people import Person
from bridge.rights import Permissions, publishing, shown
from bridge.settings import LiveKitSettings
from media.relay.seams import Grants
from media.relay.tokens import mint

FOCUS_LIFETIME = 3600.0  # seconds, as the reference token service of MatrixRTC gives
USER_ATTRIBUTE = "palabre.user"
GUEST_ATTRIBUTE = "palabre.guest"
MAY_ATTRIBUTE = "palabre.may"


def identity_attributes(person: Person) -> dict[str, str]:
    """What everybody in the call is shown of who somebody is."""
    return {GUEST_ATTRIBUTE: "1"} if person.is_guest else {USER_ATTRIBUTE: person.key}


def rights_attributes(may: Permissions) -> dict[str, str]:
    """What everybody is shown of what somebody may do beyond publishing; an empty value removes it."""
    return {MAY_ATTRIBUTE: shown(may)}


def mint_join_token(
    livekit: LiveKitSettings, room: str, identity: str, person: Person, may: Permissions, *, now: float
) -> str:
    """A token to join `room` as `identity`; `now` in seconds since the epoch.

    Nobody is made room admin: that grant would let its holder write the attributes in which consents are shown.
    """
    can_publish, sources = publishing(may)
    grants = Grants(
        issuer=livekit.api_key,
        identity=identity,
        name=person.name,
        attributes=identity_attributes(person)
        | {name: value for name, value in rights_attributes(may).items() if value},
        room=room,
        room_join=True,
        can_publish=can_publish,
        can_publish_sources=sources,
        can_update_own_metadata=False,
    )
    return mint(grants, livekit.api_secret.get_secret_value(), now=now, lifetime=livekit.token_ttl)


def mint_focus_token(livekit: LiveKitSettings, room: str, identity: str, may: Permissions, *, now: float) -> str:
    """A token for a MatrixRTC client: it tells nobody's name, which clients know from the Matrix room."""
    can_publish, sources = publishing(may)
    grants = Grants(
        issuer=livekit.api_key,
        identity=identity,
        room=room,
        room_join=True,
        can_publish=can_publish,
        can_publish_sources=sources,
        can_update_own_metadata=False,
    )
    return mint(grants, livekit.api_secret.get_secret_value(), now=now, lifetime=FOCUS_LIFETIME)
