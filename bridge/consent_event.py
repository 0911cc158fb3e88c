"""The event by which a Matrix client answers for its user, `org.palabre.consent`: what it must hold. Pure.

    {"call": "…", "answers": {"recording": "yes" or "no", "transcription": …}, "earlier": "keep" or "remove",
     "m.relates_to": {thread of the call}}

The call is named so that an answer to one call is never taken for an answer to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.consent_store import Kind
from palabre.base.errors import CallerError
from palabre.base.ids import CallId

ID_LIMIT = 255  # characters; ours are shorter


@dataclass(frozen=True)
class Answers:
    """What somebody answers in one call, for one kind or both."""

    call: CallId
    agreed: tuple[Kind, ...]
    declined: tuple[Kind, ...]
    remove_earlier: bool = False  # of what is declined: also what was captured of them before


def read_answers(content: Mapping[str, Any]) -> Answers:
    """Raises `CallerError("bad_consent")`. Kinds that we don't know are left out: newer clients may ask for more."""
    call, answers = content.get("call"), content.get("answers")
    if not isinstance(call, str) or not 0 < len(call) <= ID_LIMIT or not isinstance(answers, dict):
        raise _bad()
    earlier = content.get("earlier", "keep")
    if earlier not in ("keep", "remove"):
        raise _bad()
    given = {kind: answers[kind.value] for kind in Kind if kind.value in answers}
    if not given or any(answer not in ("yes", "no") for answer in given.values()):
        raise _bad()
    return Answers(
        CallId(call),
        agreed=tuple(kind for kind, answer in given.items() if answer == "yes"),
        declined=tuple(kind for kind, answer in given.items() if answer == "no"),
        remove_earlier=earlier == "remove",
    )


def _bad() -> CallerError:
    return CallerError("bad_consent", "That answer cannot be understood, so it does not count.")
