from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from mautrix.types import ClaimKeysResponse, QueryKeysResponse

from appservice.foreign_keys import clean_claim, clean_query
from tests.unit.appservice.test_transaction import json_values

KEY = "A" * 43
DEVICE: dict[str, Any] = {
    "user_id": "@a:hs",
    "device_id": "D",
    "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
    "keys": {"ed25519:D": KEY, "curve25519:D": KEY},
    "signatures": {"@a:hs": {"ed25519:D": "signature"}},
}
SELF_SIGNING: dict[str, Any] = {
    "user_id": "@a:hs",
    "usage": ["self_signing"],
    "keys": {f"ed25519:{KEY}": KEY},
    "signatures": {"@a:hs": {"ed25519:M": "signature"}},
}
ONE_TIME = {"signed_curve25519:AAAAHg": {"key": KEY, "signatures": {"@a:hs": {"ed25519:D": "signature"}}}}


def test_what_holds_together_stays() -> None:
    answer = {"device_keys": {"@a:hs": {"D": DEVICE}}, "self_signing_keys": {"@a:hs": SELF_SIGNING}}
    cleaned = clean_query(answer, ["@a:hs"])
    assert cleaned["device_keys"] == answer["device_keys"]
    assert cleaned["self_signing_keys"] == answer["self_signing_keys"]
    assert clean_claim({"one_time_keys": {"@a:hs": {"D": ONE_TIME}}}, {"@a:hs": ["D"]})["one_time_keys"]


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "@b:hs"},
        {"device_id": "E"},
        {"keys": {"ed25519:D": KEY}},
        {"keys": {"ed25519:D": "short", "curve25519:D": KEY}},
        {"keys": {"no colon": KEY}},
        {"keys": 7},
        {"signatures": []},
        {"algorithms": 7},
    ],
)
def test_one_malformed_device_does_not_take_the_others_along(change: dict[str, Any]) -> None:
    answer = {"device_keys": {"@a:hs": {"D": DEVICE | change}, "@b:hs": {"D": DEVICE | {"user_id": "@b:hs"}}}}
    cleaned = clean_query(answer, ["@a:hs", "@b:hs"])
    assert cleaned["device_keys"]["@a:hs"] == {}
    assert set(cleaned["device_keys"]["@b:hs"]) == {"D"}


def test_users_that_nobody_asked_for_are_left_out() -> None:
    answer = {"device_keys": {"@a:hs": {"D": DEVICE}}, "one_time_keys": {"@a:hs": {"D": ONE_TIME}}}
    assert clean_query(answer, ["@b:hs"])["device_keys"] == {}
    assert clean_claim(answer, {"@a:hs": ["E"], "@b:hs": ["D"]})["one_time_keys"] == {}


def test_a_signing_key_without_its_owners_signature_is_left_out() -> None:
    answer = {"self_signing_keys": {"@a:hs": SELF_SIGNING | {"signatures": {"@b:hs": {}}}}}
    assert clean_query(answer, ["@a:hs"])["self_signing_keys"] == {}


@given(json_values, json_values)
def test_any_answer_becomes_one_that_the_library_reads(devices: object, keys: object) -> None:
    for odd in ({"@a:hs": devices}, {"@a:hs": {"D": devices}}, devices):
        answer: Any = {"device_keys": odd, "master_keys": odd, "user_signing_keys": odd, "one_time_keys": odd}
        query = QueryKeysResponse.deserialize(cast(Any, clean_query(answer, ["@a:hs"])))
        claim = ClaimKeysResponse.deserialize(cast(Any, clean_claim(answer | {"failures": keys}, {"@a:hs": ["D"]})))
        assert {*query.device_keys, *query.master_keys, *claim.one_time_keys} <= {"@a:hs"}
