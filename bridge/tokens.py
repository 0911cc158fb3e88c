"""The only place that signs access tokens for people: who they are and what they may do, for one call, for minutes.

Claims as https://docs.livekit.io/home/get-started/authentication/; the relay refreshes them while the person is there.
"""

from __future__ import annotations

import jwt

from bridge.access import Permissions
from bridge.people import Person
from bridge.settings import LiveKitSettings

USER_ATTRIBUTE = "palabre.user"
GUEST_ATTRIBUTE = "palabre.guest"
CLOCK_SKEW = 10.0  # seconds that a relay on another machine may be behind


def mint_join_token(
    livekit: LiveKitSettings, room: str, identity: str, person: Person, may: Permissions, *, now: float
) -> str:
    """A token to join `room` as `identity`; `now` in seconds since the epoch.

    Nobody is made room admin: that grant would let its holder write the attributes in which consents are shown.
    """
    attributes = {GUEST_ATTRIBUTE: "1"} if person.is_guest else {USER_ATTRIBUTE: person.key}
    claims = {
        "iss": livekit.api_key,
        "sub": identity,
        "nbf": int(now - CLOCK_SKEW),
        "exp": int(now + livekit.token_ttl),
        "name": person.name,
        "attributes": attributes,
        "video": {
            "roomJoin": True,
            "room": room,
            "canPublish": may.publish,
            "canSubscribe": True,
            "canPublishData": True,
            "canUpdateOwnMetadata": False,
        },
    }
    return jwt.encode(claims, livekit.api_secret.get_secret_value(), algorithm="HS256")
