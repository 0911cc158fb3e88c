from __future__ import annotations

import pytest
from pydantic import ValidationError

from web.headers import asset_headers, page_csp, page_headers, plain_headers, relay_origins
from web.settings import ANY_FOCUS, WebSettings


def directives(csp: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition(" ") for part in csp.split("; "))}


def test_the_page_may_load_itself_and_reach_the_relay_and_nothing_else() -> None:
    csp = directives(page_csp("N0nce", "wss://meet.example.org", ["https://element.example.org"]))
    assert csp["default-src"] == "'none'"
    assert csp["script-src"] == "'self' 'wasm-unsafe-eval'"
    assert csp["style-src"] == "'self' 'nonce-N0nce'"
    assert csp["connect-src"] == "'self' wss://meet.example.org https://meet.example.org"
    assert csp["frame-ancestors"] == "'self' https://element.example.org"
    assert csp["base-uri"] == csp["object-src"] == "'none'"
    assert not any("unsafe-inline" in value or "'unsafe-eval'" in value or "*" in value for value in csp.values())


def test_relays_of_others_are_reached_only_where_they_are_listed() -> None:
    csp = directives(page_csp("n", "wss://meet.example.org", (), ["https://rtc.land.example"]))
    assert csp["connect-src"].split()[1:] == [
        "wss://meet.example.org",
        "https://meet.example.org",
        "https://rtc.land.example",
        "wss://rtc.land.example",
    ]
    csp = directives(page_csp("n", "wss://meet.example.org", (), [ANY_FOCUS]))
    assert csp["connect-src"].endswith("https: wss:")


@pytest.mark.parametrize("focus", ["*", "rtc.example.org", "https://rtc.example.org/", "wss://a.example", "https:; x"])
def test_a_relay_of_others_is_an_origin(focus: str) -> None:
    with pytest.raises(ValidationError, match="neither an origin"):
        WebSettings(foci=(focus,))


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("ws://127.0.0.1:7880", "ws://127.0.0.1:7880 http://127.0.0.1:7880"),
        ("wss://sfu.example.org/livekit/sfu", "wss://sfu.example.org https://sfu.example.org"),
        ("wss://[::1]:8443", "wss://[::1]:8443 https://[::1]:8443"),
    ],
)
def test_the_relays_origin_is_named_for_its_socket_and_for_its_refusals(url: str, origins: str) -> None:
    assert relay_origins(url) == origins


def test_nothing_is_sniffed_and_no_address_is_told_to_others() -> None:
    for headers in (page_headers("n", "wss://a", ()), plain_headers(), asset_headers()):
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "X-Frame-Options" not in headers  # it would forbid the widget; frame-ancestors says who may


def test_the_page_is_never_stored_and_assets_are_for_ever() -> None:
    assert page_headers("n", "wss://a", ())["Cache-Control"] == "no-store"
    assert "immutable" in asset_headers()["Cache-Control"]
