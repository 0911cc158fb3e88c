from __future__ import annotations

from pathlib import Path

from bridge.people import guest_person, matrix_person
from bridge.rights import Permissions
from bridge.tokens import mint_join_token
from media.relay.seams import Grants
from media.relay.tokens import verify
from palabre.base.ids import UserId
from tests.support.bridge_fakes import ALICE, API_SECRET, bridge_settings

NOW = 1_800_000_000.0
ALL = Permissions(publish=True, capture=True, moderate=True)


def grants(tmp_path: Path, user: UserId | None = ALICE, may: Permissions = ALL) -> Grants:
    person = matrix_person(user, "Alice") if user else guest_person("camille", "Camille")
    settings = bridge_settings(tmp_path).livekit
    token = mint_join_token(settings, "call-x", f"{person.key}/tab", person, may, now=NOW)
    return verify(token, {"key": API_SECRET}, NOW)


def test_a_token_says_who_may_join_which_call_and_for_how_long(tmp_path: Path) -> None:
    given = grants(tmp_path)
    assert (given.identity, given.name, given.room, given.room_join) == (f"{ALICE}/tab", "Alice", "call-x", True)
    assert given.attributes == {"palabre.user": ALICE, "palabre.may": "capture moderate"}
    assert 0 < given.expires_at - NOW <= 3600


def test_a_guest_is_marked_as_one(tmp_path: Path) -> None:
    may = Permissions(publish=True, capture=False, moderate=False)
    assert grants(tmp_path, None, may).attributes == {"palabre.guest": "1"}


def test_nobody_gets_a_token_to_administer_a_room_to_hide_or_to_rename_themselves(tmp_path: Path) -> None:
    given = grants(tmp_path)
    assert not any((given.room_admin, given.room_create, given.room_list, given.room_record))
    assert not any((given.hidden, given.recorder, given.agent, given.can_update_own_metadata))


def test_who_may_not_publish_gets_a_token_to_listen(tmp_path: Path) -> None:
    given = grants(tmp_path, may=Permissions(publish=False, capture=True, moderate=False, share=False))
    assert not given.can_publish
    assert given.can_subscribe
