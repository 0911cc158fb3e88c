"""Homeservers in words, for an admin room and for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from appservice.events import as_object, as_text
from appservice.federation.records import State
from appservice.federation.survey import Survey
from bridge.homeserver_admin import Row
from palabre.base.words import say, say_why

COLUMNS = ("name", "state", "may", "traffic", "version", "certificate", "clock", "rtc", "seen", "health")


def header(language: str) -> tuple[str, ...]:
    return tuple(say(language, f"homeservers.column.{column}") for column in COLUMNS)


def cells(row: Row, language: str) -> tuple[str, ...]:
    """One row of the table, in the order of `COLUMNS`."""
    record, seen = row.record, row.record.observed
    certificate = as_object(seen.get("certificate"))
    expires = certificate.get("expires_at")
    offset = seen.get("clock_offset")
    return (
        record.name,
        say(language, f"homeservers.state.{row.state.value}"),
        say(language, f"homeservers.may.{row.level.value}") + ("" if record.level or row.state is State.OWN else " *"),
        f"{row.traffic.people} / {row.traffic.calls} / {row.traffic.present}",
        as_text(seen.get("version"), 100) or "–",
        day(expires) if isinstance(expires, float) else "–",
        f"{offset:+.0f} s" if isinstance(offset, int | float) else "–",
        _switches(seen),
        "–" if record.last_seen is None else day(record.last_seen),
        _health(row, language),
    )


def _switches(seen: dict[str, Any]) -> str:
    """The MatrixRTC switches that are on, by their words in the documentation."""
    features = as_object(seen.get("features"))
    on = [name for name in ("delayed_events", "transports", "sticky_events") if features.get(name) is True]
    known = as_object(seen.get("well_known"))
    if known.get("foci"):
        on.append("rtc_foci")
    return ", ".join(on) or "–"


def _health(row: Row, language: str) -> str:
    record = row.record
    if record.failing_since is not None:
        why = as_text(record.observed.get("problem"), 200) or as_text(record.observed.get("key_problem"), 200)
        return say(language, "homeservers.failing", since=minute(record.failing_since), why=say_why(language, why))
    return say(language, "homeservers.unchecked") if record.checked_at is None else "✓"


def table(rows: Sequence[Row], language: str) -> str:
    """For a terminal: columns as wide as they need to be."""
    lines = [header(language), *(cells(row, language) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    text = "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
    return text + "\n" + say(language, "homeservers.legend")


def lines(rows: Sequence[Row], language: str) -> str:
    """For a room: a line for each server, with what is worth a word."""
    return "\n".join(_line(row, language) for row in rows)


def _line(row: Row, language: str) -> str:
    cell = dict(zip(COLUMNS, cells(row, language), strict=True))
    parts = [cell["state"], cell["may"].removesuffix(" *"), cell["version"]]
    parts.append(
        say(
            language, "homeservers.traffic", people=row.traffic.people, calls=row.traffic.calls, now=row.traffic.present
        )
    )
    if cell["health"] != "✓":
        parts.append(cell["health"])
    return f"• {cell['name']} — " + "; ".join(part for part in parts if part != "–")


def survey(server_name: str, seen: Survey, language: str) -> str:
    """The outcome of a check, for a room or a terminal."""
    if seen.problem:
        first = say(language, "homeservers.check.failed", server=server_name, why=say_why(language, seen.problem))
    else:
        first = say(language, "homeservers.check.ok", server=server_name, version=seen.version or "?")
    found = [first]
    if seen.key_problem:
        found.append(say(language, "homeservers.check.key", why=say_why(language, seen.key_problem)))
    if seen.certificate is not None:
        key = "homeservers.check.certificate" if seen.certificate.for_name else "homeservers.check.other_name"
        expires, issuer = day(seen.certificate.expires_at), seen.certificate.issuer
        found.append(say(language, key, issuer=issuer, expires=expires))
    if seen.clock_offset is not None:
        found.append(say(language, "homeservers.check.clock", offset=f"{seen.clock_offset:+.0f}"))
    if seen.openid is False:
        found.append(say(language, "homeservers.check.openid"))
    if seen.features:
        found.append(say(language, "homeservers.check.rtc", switches=_switches(seen.facts())))
    return "\n".join(found)


def day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
