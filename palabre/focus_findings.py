"""What `palabre doctor --focus` says of a homeserver: one sentence for each thing, with the very line to add. Pure.

`FocusFacts` is what was seen; `examine` goes through what native Matrix calls need, in the order in which clients meet
it. A line to add is code and the same in every language.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

from appservice.federation.survey import Survey
from appservice.registration import proxy_registration
from palabre.base.words import say, say_why

CLOCK_LIMIT = 30.0  # seconds: LiveKit tokens are given this much leeway
# Element Call from 0.26 on asks for its leave to be sent after an hour, and gives that up where it may not.
DELAY_NEEDED = 3600 * 1000  # milliseconds
CERTIFICATE_WARNING = 14 * 86_400.0  # seconds: renewal is late by then
UNRECOGNIZED = (404, 405)
OTHER_CERTIFICATE = ("certificate", "another_certificate")  # reasons that the finding about certificates tells

NGINX_CORS = "add_header Access-Control-Allow-Origin * always;"
NGINX_UPGRADE = "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection upgrade;"
OPENID_LISTENER = "listeners:\n  - resources:\n      - names: [client, openid]"
DELAYED_EVENTS = "max_event_delay_duration: 24h"
RATE_LIMIT = "rc_delayed_event_mgmt: {per_second: 20, burst_count: 100}"


def experimental(*switches: str) -> str:
    return "\n".join(["experimental_features:", *(f"  {switch}: true" for switch in switches)])


def transports_yaml(focus_url: str) -> str:
    return f"matrix_rtc:\n  transports:\n    - type: livekit\n      livekit_service_url: {focus_url}"


def foci_json(focus_url: str) -> str:
    entry = json.dumps([{"type": "livekit", "livekit_service_url": focus_url}])
    return f'"org.matrix.msc4143.rtc_foci": {entry}'


def proxy_lines(appservice_url: str) -> str:
    return yaml.safe_dump(proxy_registration(appservice_url), sort_keys=False).rstrip()


@dataclass(frozen=True)
class FocusFinding:
    """`name` is the thing looked at; `add` what to write where, empty where nothing is to be written."""

    name: str
    ok: bool
    sentence: str
    add: str = ""


@dataclass(frozen=True)
class RelaySeen:
    """Our own focus, through its public URL. Status 0: no answer."""

    health: int = 0
    token_cors: bool = False
    validate: int = 0
    validate_cors: bool = False
    websocket: int = 0  # the answer to a WebSocket handshake with a token that is none


@dataclass(frozen=True)
class OwnSeen:
    """What only the own homeserver shows, to its application service. None: could not be seen."""

    transports_status: int = 0
    transports: tuple[str, ...] | None = None  # None: the answer has none
    max_delay: int | None = None  # milliseconds
    state_after: bool | None = None
    room_summary: bool | None = None
    rate_limited: bool | None = None
    ping: tuple[int, str] = (200, "")  # status and errcode
    membership: bool | None = None  # MSC4502 works; None: not asked for
    proxy: bool | None = None  # MSC4512 is on; None: not asked for
    proxy_registered: bool = False  # and what clients ask of the focus is passed on


@dataclass(frozen=True)
class FocusFacts:
    server: str
    focus_url: str
    survey: Survey
    relay: RelaySeen
    own: OwnSeen | None  # None: another organisation's server
    appservice_url: str = ""


def examine(facts: FocusFacts, language: str, now: float) -> list[FocusFinding]:
    parts: list[Callable[[FocusFacts, str, float], Iterator[FocusFinding]]] = [
        _reachable,
        _certificate,
        _clock,
        _well_known,
        _transports,
        _agreement,
        _delayed,
        _switches,
        _openid,
        _registration,
        _membership,
        _proxy,
        _relay,
    ]
    found = [finding for part in parts for finding in part(facts, language, now)]
    if all(finding.ok for finding in found):
        found.append(_finding("all", True, language, "all_well", server=facts.server))
    return found


def _finding(name: str, ok: bool, language: str, key: str, add: str = "", **params: str | int) -> FocusFinding:
    return FocusFinding(name, ok, say(language, f"focus.{key}", **params), add)


def _reachable(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    survey = facts.survey
    if survey.problem:
        yield _finding(
            "federation", False, language, "unreachable", server=facts.server, why=say_why(language, survey.problem)
        )
    elif survey.key_problem:
        yield _finding(
            "federation", False, language, "key", server=facts.server, why=say_why(language, survey.key_problem)
        )
    else:
        version = survey.version or "?"
        yield _finding("federation", True, language, "reachable", server=facts.server, version=version)
    if survey.outside and survey.outside not in OTHER_CERTIFICATE:
        yield _finding("outside", True, language, "outside", server=facts.server, why=say_why(language, survey.outside))


def _certificate(facts: FocusFacts, language: str, now: float) -> Iterator[FocusFinding]:
    shown = facts.survey.certificate
    if shown is None:
        return
    left = shown.expires_at - now
    if left <= 0:
        yield _finding("certificate", False, language, "certificate.expired", server=facts.server)
    elif not shown.for_name:
        yield _finding(
            "certificate", False, language, "certificate.other_name", server=facts.server, issuer=shown.issuer
        )
    elif "certificate" in facts.survey.problem or "certificate" in facts.survey.outside:
        yield _finding("certificate", False, language, "certificate.unknown", server=facts.server, issuer=shown.issuer)
    elif left < CERTIFICATE_WARNING:
        yield _finding("certificate", False, language, "certificate.soon", days=int(left // 86_400))
    else:
        yield _finding("certificate", True, language, "certificate.good", days=int(left // 86_400))


def _clock(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    offset = facts.survey.clock_offset
    if offset is None:
        return
    good = abs(offset) <= CLOCK_LIMIT
    add = "" if good else "timedatectl set-ntp true"
    yield _finding("clock", good, language, "clock.good" if good else "clock.off", add, seconds=f"{offset:+.0f}")


def _well_known(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    seen, add = facts.survey.well_known, foci_json(facts.focus_url)
    if seen is None:
        return
    url = f"https://{facts.server}/.well-known/matrix/client"
    if not seen.is_json:
        whole = '{"m.homeserver": {"base_url": "…"},\n ' + add + "}"
        key = "well_known.silent" if not seen.status else "well_known.missing"
        yield _finding("well-known", False, language, key, whole, url=url, status=seen.status)
        return
    if not seen.foci:
        yield _finding("well-known", False, language, "well_known.no_foci", add, url=url)
    else:
        yield _named("well-known", facts, seen.foci, language, add)
    if not seen.cors:
        yield _finding("well-known", False, language, "well_known.no_cors", NGINX_CORS, url=url)


def _named(name: str, facts: FocusFacts, urls: tuple[str, ...], language: str, add: str) -> FocusFinding:
    """Clients take the first focus that is named, and compare its URL letter by letter."""
    given = urls[0]
    if given == facts.focus_url:
        return _finding(name, True, language, "focus.ours")
    if _alike(given, facts.focus_url):
        return _finding(name, False, language, "focus.spelling", add, given=given, ours=facts.focus_url)
    if facts.own is None:
        return _finding(name, True, language, "focus.theirs", given=given)
    return _finding(name, False, language, "focus.other", add, given=given, ours=facts.focus_url)


def _alike(one: str, other: str) -> bool:
    def plain(url: str) -> str:
        return url.lower().removeprefix("https://").removeprefix("http://").rstrip("/").replace(":443/", "/")

    return plain(one) == plain(other)


def _transports(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    switch = experimental("msc4143_enabled")
    if facts.own is None:
        if facts.survey.features:
            on = facts.survey.features.get("transports", False)
            key = "transports.foreign_on" if on else "transports.foreign_off"
            yield _finding("transports", on, language, key, "" if on else switch)
        return
    own, add = facts.own, transports_yaml(facts.focus_url)
    if own.transports_status in UNRECOGNIZED:
        yield _finding("transports", False, language, "transports.off", f"{switch}\n{add}")
    elif own.transports_status != 200:
        yield _finding("transports", False, language, "transports.refused", status=own.transports_status)
    elif not own.transports:
        yield _finding("transports", False, language, "transports.none", add)
    else:
        yield _named("transports", facts, own.transports, language, add)


def _agreement(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    """Some clients read one, some the other: they would not meet."""
    named = facts.survey.well_known.foci if facts.survey.well_known else None
    given = facts.own.transports if facts.own else None
    if named and given and named[0] != given[0]:
        yield _finding("agreement", False, language, "disagree", foci=named[0], transports=given[0])


def _delayed(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    features = facts.survey.features
    longest = facts.own.max_delay if facts.own else None
    if longest == 0 or (features and not features.get("delayed_events", False)):
        yield _finding("delayed events", False, language, "delayed.off", DELAYED_EVENTS)
    elif longest is not None and longest < DELAY_NEEDED:
        yield _finding("delayed events", False, language, "delayed.short", DELAYED_EVENTS, seconds=longest // 1000)
    elif features:
        yield _finding("delayed events", True, language, "delayed.on")
    if facts.own is not None and facts.own.rate_limited:
        yield _finding("rate limit", False, language, "rate_limit", RATE_LIMIT)


def _switches(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    if facts.own is not None and facts.own.state_after is not None:
        on = facts.own.state_after
        add = "" if on else experimental("msc4222_enabled")
        yield _finding("state after", on, language, "state_after.on" if on else "state_after.off", add)
    if facts.own is not None and facts.own.room_summary is not None:
        on = facts.own.room_summary
        add = "" if on else experimental("msc3266_enabled")
        yield _finding("room summary", True, language, "room_summary.on" if on else "room_summary.off", add)
    if facts.survey.features:
        on = facts.survey.features.get("sticky_events", False)
        add = "" if on else experimental("msc4354_enabled")
        yield _finding("sticky events", True, language, "sticky.on" if on else "sticky.off", add)


def _openid(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    if facts.survey.openid is not None:
        good = facts.survey.openid
        key = "openid.good" if good else "openid.missing"
        yield _finding("OpenID", good, language, key, "" if good else OPENID_LISTENER, server=facts.server)


def _registration(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    if facts.own is None:
        return
    status, errcode = facts.own.ping
    add = "app_service_config_files:\n  - registration.yaml"
    if status == 200:
        yield _finding("registration", True, language, "registration.good")
    elif errcode in ("M_CONNECTION_FAILED", "M_CONNECTION_TIMEOUT"):
        yield _finding("registration", False, language, "registration.unreachable", url=facts.appservice_url)
    elif errcode == "M_BAD_STATUS":
        yield _finding("registration", False, language, "registration.hs_token", add, url=facts.appservice_url)
    elif status:
        yield _finding("registration", False, language, "registration.stale", add, status=status)


def _membership(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    """Where a setting asks for it; otherwise it is nobody's fault."""
    own = facts.own
    if own is not None and own.membership is not None:
        key = "membership.on" if own.membership else "membership.off"
        yield _finding(
            "MSC4502", own.membership, language, key, "" if own.membership else experimental("msc4502_enabled")
        )


def _proxy(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    """Where `bridge.focus.homeserver_proxy` asks for it."""
    own = facts.own
    if own is None or own.proxy is None:
        return
    if not own.proxy:
        yield _finding("MSC4512", False, language, "proxy.off", experimental("msc4512_enabled", "msc4502_enabled"))
    elif not own.proxy_registered:
        yield _finding("MSC4512", False, language, "proxy.unregistered", proxy_lines(facts.appservice_url))
    else:
        yield _finding("MSC4512", True, language, "proxy.on")


def _relay(facts: FocusFacts, language: str, _now: float) -> Iterator[FocusFinding]:
    seen, url = facts.relay, facts.focus_url
    if seen.health != 200:
        yield _finding("relay", False, language, "relay.unreachable", url=f"{url}/healthz", status=seen.health)
        return
    if not seen.token_cors or not seen.validate_cors:
        yield _finding("relay", False, language, "relay.no_cors", NGINX_CORS, url=url)
    if seen.validate != 401:
        yield _finding("relay", False, language, "relay.validate", status=seen.validate)
    elif seen.websocket != 401:
        yield _finding("relay", False, language, "relay.websocket", NGINX_UPGRADE, status=seen.websocket)
    elif seen.token_cors and seen.validate_cors:
        yield _finding("relay", True, language, "relay.good", url=url)
