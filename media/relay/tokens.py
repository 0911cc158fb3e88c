"""LiveKit access tokens: HS256 JSON web tokens (RFC 7519), verified into `Grants` and minted from them.

Who gets one is decided elsewhere.

https://docs.livekit.io/home/get-started/authentication/ — a token that is wrong in any way is refused with a
sentence that says in which; nothing of a token is believed before its signature is checked.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import jwt

from media.relay.seams import AgentWish, Grants, TrackSource
from palabre.base.errors import CallerError

MAX_TOKEN = 7 * 1024  # characters; tokens travel in the request line, which HTTP servers cut at 8 KiB
MAX_LIFETIME = 366 * 86400.0  # seconds; a token good for longer is a mistake (LiveKit's CLI gives a year at most)
LEEWAY = 30.0  # seconds that clocks of issuer and relay may be apart
MAX_AGENTS = 32  # a token names; a room holds no more
CLOCK_TROUBLE = 900.0  # a token this little off is from a wrong clock rather than old: say so
ALGORITHM = "HS256"


class TokenError(CallerError):
    """The token is refused; the sentence says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__("invalid_token", sentence, status=401)


def verify(token: str, secrets: Mapping[str, str], now: float) -> Grants:
    """Check `token` against the secret of the key it names, at `now` (seconds since the epoch).

    Raises `TokenError`. What the token allows is the caller's to look at: a good token may grant nothing.
    """
    if not token:
        raise TokenError("an access token is missing")
    if len(token) > MAX_TOKEN:
        raise TokenError(f"the access token is longer than {MAX_TOKEN} characters")
    header, claims = _parts(token)
    if header.get("alg") != ALGORITHM:
        raise TokenError(f"the access token must be signed with {ALGORITHM}")
    if "crit" in header:
        raise TokenError("the access token has critical header fields, which are not supported")
    issuer = claims.get("iss")
    secret = secrets.get(issuer) if isinstance(issuer, str) else None
    if not secret or not isinstance(issuer, str):
        raise TokenError("the access token names an API key (iss) that is not known here")
    try:
        jwt.decode(token, secret, algorithms=[ALGORITHM], options=_SIGNATURE_ONLY)
    except jwt.InvalidTokenError as error:
        raise TokenError("the access token's signature does not fit its API key") from error
    expires_at = _check_times(claims, now)
    return _grants(issuer, claims, expires_at)


# The signature is PyJWT's; times are checked here because `now` is given, and every other claim has its own rule.
_SIGNATURE_ONLY: Any = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise TokenError("the access token says something twice")
    return result


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not yet believed."""
    segments = token.split(".")
    if len(segments) != 3:
        raise TokenError("the access token is not a JSON web token")
    try:
        parts = [
            json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=_no_duplicates)
            for part in segments[:2]
        ]
    except (binascii.Error, ValueError, RecursionError) as error:
        raise TokenError("the access token is not a JSON web token") from error
    header, claims = parts
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenError("the access token is not a JSON web token")
    return header, claims


def _check_times(claims: Mapping[str, Any], now: float) -> float:
    """`exp`, which must be there; both borders with `LEEWAY`."""
    expires_at, not_before = _time(claims, "exp"), _time(claims, "nbf")
    if expires_at is None:
        raise TokenError("the access token has no expiry (exp)")
    if expires_at - now > MAX_LIFETIME:
        raise TokenError("the access token expires too far in the future (exp)")
    if now > expires_at + LEEWAY:
        hint = "; check the clocks" if now < expires_at + CLOCK_TROUBLE else ""
        raise TokenError("the access token has expired" + hint)
    if not_before is not None and now < not_before - LEEWAY:
        raise TokenError("the access token is not valid yet (nbf); check the clocks")
    return expires_at


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise TokenError(f"the access token's {name} is not a time")
    return float(value)


def _text(claims: Mapping[str, Any], name: str, default: str = "") -> str:
    value = claims.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise TokenError(f"the access token's {name} is not a text")
    return value


def _flag(video: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = video.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise TokenError(f"the access token's {name} is neither true nor false")
    return value


def _sources(video: Mapping[str, Any]) -> tuple[TrackSource, ...]:
    names = video.get("canPublishSources") or []
    try:
        return tuple(TrackSource(name) for name in names)
    except (TypeError, ValueError) as error:
        raise TokenError("the access token's canPublishSources are not track sources") from error


def _agents(claims: Mapping[str, Any]) -> tuple[AgentWish, ...]:
    """Of the room's configuration, which stands beside the grants; the rest of it is the relay's to set."""
    configuration = claims.get("roomConfig") or {}
    wishes = configuration.get("agents") or [] if isinstance(configuration, dict) else None
    if not isinstance(wishes, list) or not all(isinstance(wish, dict) for wish in wishes):
        raise TokenError("the access token's roomConfig is malformed")
    return tuple(AgentWish(_text(wish, "agentName"), _text(wish, "metadata")) for wish in wishes[:MAX_AGENTS])


def _grants(issuer: str, claims: Mapping[str, Any], expires_at: float) -> Grants:
    video = claims.get("video") or {}
    attributes = claims.get("attributes") or {}
    if not isinstance(video, dict) or not isinstance(attributes, dict):
        raise TokenError("the access token's grants are malformed")
    if not all(isinstance(value, str) for value in attributes.values()):
        raise TokenError("the access token's attributes are not texts")
    return Grants(
        issuer=issuer,
        identity=_text(claims, "sub"),
        name=_text(claims, "name"),
        metadata=_text(claims, "metadata"),
        attributes=attributes,
        kind=_text(claims, "kind") or "standard",
        expires_at=expires_at,
        room=_text(video, "room"),
        room_join=_flag(video, "roomJoin"),
        room_create=_flag(video, "roomCreate"),
        room_list=_flag(video, "roomList"),
        room_admin=_flag(video, "roomAdmin"),
        room_record=_flag(video, "roomRecord"),
        can_publish=_flag(video, "canPublish", True),
        can_subscribe=_flag(video, "canSubscribe", True),
        can_publish_data=_flag(video, "canPublishData", True),
        can_publish_sources=_sources(video),
        can_update_own_metadata=_flag(video, "canUpdateOwnMetadata"),
        hidden=_flag(video, "hidden"),
        recorder=_flag(video, "recorder"),
        agent=_flag(video, "agent"),
        agents=_agents(claims),
    )


class _PlainEncoder(json.JSONEncoder):
    """JSON whose base64url holds neither `-` nor `_`: Element Call decodes claims with plain `atob`.

    In ASCII text the last two digits of base64 come from the low bits of `>` and `~`, `?` and DEL alone.
    """

    def encode(self, o: Any) -> str:
        text = super().encode(o)
        for character in ">~?\x7f":  # outside of strings JSON has none of them
            text = text.replace(character, f"\\u{ord(character):04x}")
        return text


def mint(grants: Grants, secret: str, *, now: float, lifetime: float) -> str:
    """A token with these grants, signed for `grants.issuer`, valid from `now` for `lifetime` seconds."""
    video: dict[str, Any] = {
        "room": grants.room,
        "roomJoin": grants.room_join,
        "roomCreate": grants.room_create,
        "roomList": grants.room_list,
        "roomAdmin": grants.room_admin,
        "roomRecord": grants.room_record,
        "canPublish": grants.can_publish,
        "canSubscribe": grants.can_subscribe,
        "canPublishData": grants.can_publish_data,
        "canPublishSources": [source.value for source in grants.can_publish_sources],
        "canUpdateOwnMetadata": grants.can_update_own_metadata,
        "hidden": grants.hidden,
        "recorder": grants.recorder,
        "agent": grants.agent,
    }
    claims: dict[str, Any] = {
        "iss": grants.issuer,
        "sub": grants.identity,
        "nbf": int(now),
        "exp": int(now + lifetime),
        "name": grants.name,
        "metadata": grants.metadata,
        "attributes": dict(grants.attributes),
        "kind": grants.kind,
        "video": {name: value for name, value in video.items() if value is not False or name.startswith("can")},
    }
    claims = {name: value for name, value in claims.items() if value not in ("", {})}
    return jwt.encode(claims, secret, algorithm=ALGORITHM, json_encoder=_PlainEncoder)
