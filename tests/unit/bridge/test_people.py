from __future__ import annotations

import pytest

from bridge.people import guest_person, identity_of, matrix_person, person_key
from palabre.base.errors import CallerError
from palabre.base.ids import UserId


def test_an_identity_leads_back_to_its_person_also_when_the_user_id_has_slashes() -> None:
    person = matrix_person(UserId("@a/b/c:example.org"))
    assert person_key(identity_of(person, "DEV-1_x")) == "@a/b/c:example.org"


def test_a_guest_has_no_matrix_user() -> None:
    guest = guest_person("camille", "Camille")
    assert guest.is_guest
    assert guest.user_id is None
    assert person_key(identity_of(guest, "tab")) == guest.key


@pytest.mark.parametrize("device", ["", "a/b", "a b", "x" * 33, "é", "a\n"])
def test_a_device_name_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(CallerError, match="device name"):
        identity_of(matrix_person(UserId("@a:b")), device)


@pytest.mark.parametrize("identity", ["", "@a:b", "/tab", "@a:b/", "@a:b/no such"])
def test_an_identity_that_was_not_made_here_is_refused(identity: str) -> None:
    with pytest.raises(CallerError):
        person_key(identity)
