"""What waits for a slow TCP connection: media only as long as they are of use, everything else up to a limit."""

from __future__ import annotations

from media.relay.transport import backlog
from media.relay.transport.backlog import MAX_WAIT, Backlog

MEDIA, DTLS = b"\x80" + bytes(999), b"\x17" + bytes(999)


def drain(waiting: Backlog, now: float) -> list[bytes]:
    taken = []
    while (datagram := waiting.pop(now)) is not None:
        taken.append(datagram)
    return taken


def test_what_waits_leaves_in_its_order() -> None:
    waiting = Backlog()
    for number in range(5):
        waiting.push(bytes([0x80, number]), 0.0)
    assert drain(waiting, 0.1) == [bytes([0x80, number]) for number in range(5)]
    assert (len(waiting), waiting.dropped) == (0, 0)


def test_media_that_waited_too_long_are_given_up_and_data_are_not() -> None:
    waiting = Backlog()
    waiting.push(MEDIA, 0.0)
    waiting.push(DTLS, 0.0)
    waiting.push(MEDIA, MAX_WAIT)
    assert drain(waiting, MAX_WAIT + 0.1) == [DTLS, MEDIA]
    assert waiting.dropped == 1


def test_no_more_waits_than_the_limit_and_old_media_make_room() -> None:
    waiting = Backlog()
    for _ in range(2 * backlog.LIMIT // 1000):
        waiting.push(MEDIA, 0.0)
    assert len(waiting) == backlog.LIMIT // 1000
    waiting.push(DTLS, MAX_WAIT + 0.1)
    assert drain(waiting, MAX_WAIT + 0.1) == [DTLS]
    for _ in range(2 * backlog.LIMIT // 1000):
        waiting.push(DTLS, 1.0)
    assert len(waiting) == backlog.LIMIT // 1000
