"""Access tokens: what is believed, and what is refused with which reason (C-16, C-17)."""

from __future__ import annotations

import base64
import json

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.relay.seams import Grants, TrackSource
from media.relay.tokens import MAX_TOKEN, TokenError, mint, verify

KEYS = {"key": "a-secret-that-is-long-enough-for-hs256"}
NOW = 1_800_000_000.0


def signed(claims: dict[str, object], *, key: str = KEYS["key"], **header: object) -> str:
    base = {"iss": "key", "sub": "alice", "exp": NOW + 600, "video": {"roomJoin": True, "room": "r"}}
    return jwt.encode({**base, **claims}, key, algorithm="HS256", headers=header or None)


def test_what_is_minted_is_verified_to_the_same_grants() -> None:
    grants = Grants(
        issuer="key",
        identity="@a:example.org:DEVICE",
        name="Ada",
        metadata="m",
        attributes={"a": "1"},
        kind="agent",
        room="r",
        room_join=True,
        room_admin=True,
        can_publish=True,
        can_subscribe=False,
        can_publish_sources=(TrackSource.MICROPHONE, TrackSource.SCREEN_SHARE_AUDIO),
        can_update_own_metadata=True,
        hidden=True,
    )
    token = mint(grants, KEYS["key"], now=NOW, lifetime=600)
    read = verify(token, KEYS, NOW)
    assert read.expires_at == NOW + 600
    assert read == Grants(**{**grants.__dict__, "expires_at": read.expires_at})


def test_absent_permissions_mean_yes_and_absent_roles_mean_no() -> None:
    grants = verify(signed({}), KEYS, NOW)
    assert (grants.can_publish, grants.can_subscribe, grants.can_publish_data) == (True, True, True)
    assert (grants.room_admin, grants.room_create, grants.hidden, grants.can_update_own_metadata) == (False,) * 4
    assert grants.can_publish_sources == ()


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - 31}, "the access token has expired; check the clocks"),
        ({"exp": NOW - 86400}, "the access token has expired"),
        ({"nbf": NOW + 31}, "the access token is not valid yet (nbf); check the clocks"),
        ({"exp": None}, "the access token has no expiry (exp)"),
        ({"exp": NOW + 100 * 365 * 86400}, "the access token expires too far in the future (exp)"),
        ({"exp": "tomorrow"}, "the access token's exp is not a time"),
        ({"exp": True}, "the access token's exp is not a time"),
        ({"iss": "other"}, "the access token names an API key (iss) that is not known here"),
        ({"sub": 5}, "the access token's sub is not a text"),
        ({"video": []}, None),
        ({"video": "all"}, "the access token's grants are malformed"),
        ({"video": {"roomJoin": "yes"}}, "the access token's roomJoin is neither true nor false"),
        ({"video": {"canPublishSources": ["keyboard"]}}, "the access token's canPublishSources are not track sources"),
        ({"attributes": {"a": 1}}, "the access token's attributes are not texts"),
    ],
)
def test_each_wrong_claim_has_its_reason(claims: dict[str, object], reason: str | None) -> None:
    if reason is None:
        assert not verify(signed(claims), KEYS, NOW).room_join
        return
    with pytest.raises(TokenError) as refused:
        verify(signed(claims), KEYS, NOW)
    assert (refused.value.sentence, refused.value.status) == (reason, 401)


def test_clocks_may_be_half_a_minute_apart() -> None:
    assert verify(signed({"exp": NOW - 29}), KEYS, NOW)
    assert verify(signed({"nbf": NOW + 29}), KEYS, NOW)


@pytest.mark.parametrize("algorithm", ["none", "HS512", "RS256", "", None, 5])
def test_only_hs256_is_accepted(algorithm: object) -> None:
    good = signed({}).split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).rstrip(b"=").decode()
    with pytest.raises(TokenError, match="must be signed with HS256"):
        verify(".".join([header, good[1], good[2]]), KEYS, NOW)


def test_a_signature_by_another_key_or_none_is_refused() -> None:
    with pytest.raises(TokenError, match="signature"):
        verify(signed({}, key="another-secret-another-secret-xx"), KEYS, NOW)
    with pytest.raises(TokenError, match="signature"):
        verify(signed({}).rsplit(".", 1)[0] + ".", KEYS, NOW)


def test_critical_headers_are_refused() -> None:
    with pytest.raises(TokenError, match="critical"):
        verify(signed({}, crit=["exp"]), KEYS, NOW)


def test_a_claim_that_stands_twice_is_refused() -> None:
    payload = '{"iss":"key","sub":"alice","sub":"bob","exp":1800000600}'
    parts = ['{"alg":"HS256"}', payload]
    token = ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts) + ".x"
    with pytest.raises(TokenError, match="twice"):
        verify(token, KEYS, NOW)


def test_tokens_that_are_too_long_are_not_even_decoded() -> None:
    with pytest.raises(TokenError, match="longer"):
        verify("a" * (MAX_TOKEN + 1), KEYS, NOW)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,60}\.[A-Za-z0-9_-]{0,20}"))
def test_nothing_but_a_token_error_comes_out(token: str) -> None:
    with pytest.raises(TokenError):
        verify(token, KEYS, NOW)
