from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from bridge.ringing_rules import MOST_MENTIONS, QuietHours, Ring, RingPolicy, decide, notification
from bridge.settings import RingSettings
from palabre.base.ids import EventId, UserId
from tests.support.bridge_fakes import ALICE, BOB

OFF, NOTIFY, RING = RingPolicy.OFF, RingPolicy.NOTIFY, RingPolicy.RING
PARIS = "Europe/Paris"


def decided(wanted: RingPolicy, *, limit: int = 20, quiet: bool = False, already: RingPolicy = OFF) -> Ring | None:
    return decide(wanted, [ALICE, BOB], [ALICE], group_limit=limit, quiet=quiet, already=already)


def test_a_room_that_rings_rings_for_those_who_are_not_in_the_call() -> None:
    assert decided(RING) == Ring(RING, (BOB,))
    assert decided(NOTIFY) == Ring(NOTIFY, (BOB,))
    assert decided(OFF) is None
    assert decide(RING, [ALICE], [ALICE], group_limit=20, quiet=False, already=OFF) is None


def test_a_large_room_is_notified_and_never_rung() -> None:
    assert decided(RING, limit=1) == Ring(NOTIFY, (BOB,))


def test_in_quiet_hours_nobody_is_disturbed() -> None:
    assert decided(RING, quiet=True) is None


@pytest.mark.parametrize(
    ("wanted", "already", "rings"),
    [(NOTIFY, NOTIFY, False), (NOTIFY, RING, False), (RING, RING, False), (RING, NOTIFY, True)],
)
def test_what_a_client_has_announced_is_not_announced_again_unless_louder(
    wanted: RingPolicy, already: RingPolicy, rings: bool
) -> None:
    assert (decided(wanted, already=already) is not None) is rings


@pytest.mark.parametrize(
    ("hours", "local", "quiet"),
    [
        ("20:00-07:30", "19:59", False),
        ("20:00-07:30", "20:00", True),
        ("20:00-07:30", "03:00", True),
        ("20:00-07:30", "07:30", False),
        ("12:00-14:00", "13:00", True),
        ("12:00-14:00", "20:00", False),
        ("00:00-00:00", "20:00", True),
    ],
)
@pytest.mark.parametrize("day", ["2026-01-15", "2026-07-15"])  # with and without daylight saving time
def test_quiet_hours_are_local_and_may_go_over_midnight(hours: str, local: str, quiet: bool, day: str) -> None:
    moment = datetime.fromisoformat(f"{day}T{local}:00").replace(tzinfo=ZoneInfo(PARIS)).timestamp()
    assert QuietHours.parse(hours).hold(moment, PARIS) is quiet


def test_settings_that_name_no_hours_or_no_zone_are_refused() -> None:
    for wrong in ({"quiet_hours": "all night"}, {"quiet_hours": "25:00-07:00"}, {"time_zone": "Europe/Atlantis"}):
        with pytest.raises(ValidationError):
            RingSettings.model_validate(wrong)


def test_the_event_is_the_one_that_element_call_sends() -> None:
    content = notification(Ring(RING, (BOB,)), EventId("$member"), 1_795_307_418.0)
    assert content == {
        "m.mentions": {"user_ids": [BOB], "room": False},
        "notification_type": "ring",
        "m.relates_to": {"rel_type": "m.reference", "event_id": "$member"},
        "sender_ts": 1_795_307_418_000,
        "lifetime": 90_000,
        "m.call.intent": "video",
    }
    crowd = tuple(UserId(f"@u{number}:hs") for number in range(MOST_MENTIONS + 1))
    many = notification(Ring(NOTIFY, crowd), None, 0.0)
    assert (many["m.mentions"], many["notification_type"]) == ({"user_ids": [], "room": True}, "notification")
    assert "m.relates_to" not in many
