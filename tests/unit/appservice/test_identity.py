from __future__ import annotations

import pytest
from mautrix.crypto.ssss.key import Key

from appservice.identity import Step, decide, storage_key


@pytest.mark.parametrize(
    ("ours", "theirs", "signed", "recovery_key", "renew", "step"),
    [
        (None, None, False, False, False, Step.CREATE),
        ("k", None, False, False, False, Step.PUBLISH),  # crashed before it was published
        ("k", "k", False, False, False, Step.SIGN),
        ("k", "k", True, False, False, Step.NOTHING),
        (None, "k", False, True, False, Step.RECOVER),
        (None, "k", False, True, True, Step.RECOVER),
        (None, "k", False, False, True, Step.CREATE),
        (None, "k", False, False, False, Step.LOST),
        ("old", "k", True, False, False, Step.LOST),
    ],
)
def test_an_identity_is_never_replaced_unless_the_operator_says_so(
    ours: str | None, theirs: str | None, signed: bool, recovery_key: bool, renew: bool, step: Step
) -> None:
    assert decide(ours, theirs, signed=signed, recovery_key=recovery_key, renew=renew) is step


def test_the_recovery_key_opens_the_storage_made_from_it() -> None:
    recovery_key = Key.generate().recovery_key
    key = storage_key(recovery_key)
    assert key.metadata.verify_recovery_key(key.id, recovery_key).key == key.key
    with pytest.raises(ValueError, match="MAC"):
        key.metadata.verify_recovery_key(key.id, Key.generate().recovery_key)
