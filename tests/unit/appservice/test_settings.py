from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from appservice.registration import registration, registration_yaml
from appservice.settings import AppserviceSettings


def settings(**options: Any) -> AppserviceSettings:
    given: dict[str, Any] = {
        "homeserver_url": "https://matrix.example.org/",
        "server_name": "example.org",
        "listen_url": "http://10.0.0.2:8080/",
        "as_token": "a" * 32,
        "hs_token": "h" * 32,
        "secret": "s" * 32,
    }
    return AppserviceSettings(**(given | options))


def users(document: dict[str, Any]) -> list[str]:
    return [namespace["regex"] for namespace in document["namespaces"]["users"]]


@pytest.mark.parametrize(
    ("user", "ours"),
    [
        ("@palabre:example.org", True),
        ("@palabre-admin:example.org", True),
        ("@palabre:exampleXorg", False),
        ("@palabres:example.org", False),
        ("@palabre:example.org.evil.org", False),
        ("x@palabre:example.org", False),
    ],
)
def test_the_namespace_holds_our_users_and_nobody_elses(user: str, ours: bool) -> None:
    assert any(re.search(regex, user) for regex in users(registration(settings()))) is ours
    assert settings().owns_user(user) is ours


def test_the_registrations_own_sender_is_not_the_bot() -> None:
    document = registration(settings())
    assert document["sender_localpart"] != settings().bot_localpart


def test_the_registration_is_yaml_with_the_tokens_in_clear() -> None:
    document = yaml.safe_load(registration_yaml(settings()))
    assert document == registration(settings())
    assert (document["as_token"], document["hs_token"]) == ("a" * 32, "h" * 32)
    assert document["url"] == "http://10.0.0.2:8080"


@pytest.mark.parametrize(
    ("invited_by", "inviter", "allowed"),
    [
        ((), "@a:example.org", True),
        ((), "@a:other.org", False),
        (("other.org",), "@a:other.org", True),
        (("other.org",), "@a:other.org.evil.org", False),
        (("*",), "@a:anywhere:8448", True),
    ],
)
def test_invitations_are_accepted_from_our_server_and_those_named(
    invited_by: tuple[str, ...], inviter: str, allowed: bool
) -> None:
    assert settings(invited_by=invited_by).may_invite(inviter) is allowed


@pytest.mark.parametrize(
    "wrong",
    [{"hs_token": "a" * 32}, {"hs_token": "with a space " * 3}, {"colour": "red"}, {"bot_localpart": "Évelyne"}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(**wrong)


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    assert "a" * 32 not in repr(settings())
    assert "s" * 32 not in repr(settings())


def test_only_who_asks_by_msc4502_gets_its_scope_and_only_who_needs_an_administrator_has_one() -> None:
    scope = "io.element.msc4502.scopes"
    assert scope not in registration(settings())
    assert registration(settings(membership="msc4502"))[scope] == [
        "urn:matrix:client:io.element.msc4502:rooms:is_joined"
    ]
    assert settings().localparts == ("palabre",)
    assert settings(membership="admin").localparts == ("palabre", "palabre-admin")
    assert settings(membership="admin", admin_token="token").localparts == ("palabre",)
    assert settings().owns_user(settings().admin_user_id)
