"""Which encryption a call gets, from what its room wants and how somebody comes in. Pure.

A call has one mode from its first token to its end. End-to-end: media keys travel through the Matrix room, so only
clients that take part in MatrixRTC there can join, and the relay holds ciphertext. To the server: media are encrypted
hop by hop, so anybody whom the meeting lets in can join, with any browser.
"""

from __future__ import annotations

from enum import Enum

from palabre.base.errors import CallerError

MODE_SERVER = "server"
MODE_END_TO_END = "e2ee"
MODE_AUTO = "auto"  # of a room: whoever opens the call decides by the way they come in
ROOM_MODES = (MODE_AUTO, MODE_END_TO_END, MODE_SERVER)


class Way(Enum):
    """How somebody comes in."""

    MATRIX_RTC = "matrix_rtc"  # Element Call, or our page as a widget: can exchange keys with the room's members
    LINK = "link"  # everything else: plain browsers, guests, programs


# What a call that is opened becomes, by what the room wants and whether it is encrypted. Element Call encrypts media
# exactly where the room is encrypted; so a call in an unencrypted room is to the server whoever opens it, and the two
# ways share it. None: that way may not open one.
_OPENS: dict[tuple[str, bool], dict[Way, str | None]] = {
    (MODE_AUTO, True): {Way.MATRIX_RTC: MODE_END_TO_END, Way.LINK: MODE_SERVER},
    (MODE_END_TO_END, True): {Way.MATRIX_RTC: MODE_END_TO_END, Way.LINK: None},
    (MODE_SERVER, True): {Way.MATRIX_RTC: None, Way.LINK: MODE_SERVER},
    (MODE_AUTO, False): {Way.MATRIX_RTC: MODE_SERVER, Way.LINK: MODE_SERVER},
    (MODE_END_TO_END, False): {Way.MATRIX_RTC: None, Way.LINK: None},
    (MODE_SERVER, False): {Way.MATRIX_RTC: MODE_SERVER, Way.LINK: MODE_SERVER},
}


def opened_mode(wanted: str, way: Way, *, encrypted: bool) -> str:
    """The mode of a call that is opened this way in a room that wants `wanted`. Raises `CallerError`."""
    mode = _OPENS[wanted, encrypted][way]
    if mode is not None:
        return mode
    raise end_to_end_only() if wanted == MODE_END_TO_END else not_end_to_end()


def require_way(mode: str, way: Way, *, encrypted: bool) -> None:
    """May somebody who comes this way join a call of that mode? Raises `CallerError`."""
    if mode == MODE_END_TO_END and way is Way.LINK:
        raise end_to_end_only()
    if mode == MODE_SERVER and way is Way.MATRIX_RTC and encrypted:
        raise not_end_to_end()


def shown_mode(wanted: str, *, encrypted: bool) -> str:
    """What to tell somebody of a room in which no call runs and who may come either way: the strongest they can get."""
    return MODE_END_TO_END if encrypted and wanted != MODE_SERVER else MODE_SERVER


def end_to_end_only() -> CallerError:
    return CallerError(
        "end_to_end_only",
        "This call is end-to-end encrypted, so it can be joined from the room in a Matrix client only.",
        status=403,
    )


def not_end_to_end() -> CallerError:
    return CallerError(
        "not_end_to_end",
        "The call of this encrypted room is encrypted to the server only, so a client that encrypts end to end "
        "cannot join it. Join it by its link, or ask a moderator to change the room's encryption of calls.",
        status=403,
    )
