from __future__ import annotations

import pytest

from bridge.people import guest_person, hashed_identity, identity_of, matrix_person, proxied_identity, rtc_identity
from palabre.base.errors import CallerError
from palabre.base.ids import UserId


def test_an_identity_names_the_person_and_the_device() -> None:
    assert identity_of(matrix_person(UserId("@a/b/c:example.org")), "DEV-1_x") == "@a/b/c:example.org/DEV-1_x"


def test_a_guest_has_no_matrix_user() -> None:
    guest = guest_person("camille", "Camille")
    assert guest.is_guest
    assert guest.user_id is None


@pytest.mark.parametrize("device", ["", "a/b", "a b", "x" * 33, "é", "a\n"])
def test_a_device_name_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(CallerError, match="device name"):
        identity_of(matrix_person(UserId("@a:b")), device)


def test_the_identities_of_matrixrtc_are_those_that_clients_work_out() -> None:
    """Vectors: what Element Call 0.26.1 was seen to work out, and SHA-256 of the same JSON by openssl."""
    bob = UserId("@bob7416:ec.localhost")
    assert rtc_identity(bob, "DEVBOB") == "@bob7416:ec.localhost:DEVBOB"
    assert hashed_identity(bob, "DEVBOB", f"{bob}:DEVBOB") == "D39jciEhzxeJ2aGqV+1P+o2txbc/061nqxsq2TWXdqw"
    assert proxied_identity(bob, "a-uuid") == "TKLbW+tlB665+zTh7yB0Dl4HmmqcZ7JRTpdpuAEtHew"
