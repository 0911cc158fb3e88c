"""The local sign-in of `--dev`: names and passwords from the settings, for the demo and for trying things out."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from palabre.base.errors import CallerError
from web.settings import DevUser


def check_password(users: Mapping[str, DevUser], name: str, password: str) -> DevUser:
    """The user of that name. Raises `CallerError("wrong_password")`, the same for an unknown name."""
    user = users.get(name)
    known = user.password.get_secret_value() if user else ""
    right = hmac.compare_digest(password.encode(), known.encode())
    if user is None or not right:
        raise CallerError("wrong_password", "The name or the password is wrong.", status=401)
    return user
