"""Which header extensions mean something here, and the block of them that a subscriber gets.

Values are URIs of https://www.iana.org/assignments/rtp-parameters and of libwebrtc. A `Plan` says how to translate a
publisher's elements to a subscriber's ids; packets for subscribers with the same plan share one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from media.relay.plane.api import Extension
from media.relay.plane.rtp import ONE_BYTE_MAX_ID, ONE_BYTE_PROFILE, pack_extensions

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
VIDEO_CONTENT_TYPE = "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"

# What is true of the picture or the sound travels on. What describes the hop stays behind: mid and rid are the
# publisher's, and a transport-cc number that is not ours would switch the subscriber's REMB off.
FORWARDED = frozenset(
    {AUDIO_LEVEL, VIDEO_ORIENTATION, ABS_CAPTURE_TIME, PLAYOUT_DELAY, VIDEO_CONTENT_TYPE, DEPENDENCY_DESCRIPTOR}
)

# The descriptor tells dependencies that the VP8 and H.264 payloads tell as well, and makes libwebrtc send VP8 without
# picture ids. Should one arrive with them all the same, it stays here.
_WITHOUT_DESCRIPTOR = frozenset({"VP8", "H264"})

_ONE_BYTE_FIRST = ONE_BYTE_PROFILE >> 8
_TICKS_PER_SECOND = 1 << 18  # abs-send-time is 6.18 fixed point


def absolute_send_time(now: float) -> bytes:
    """The abs-send-time element for a packet sent at `now` (any clock: only differences count)."""
    return (int(now * _TICKS_PER_SECOND) & 0xFFFFFF).to_bytes(3, "big")


class Plan:
    """How one subscriber section numbers what it is sent. Equal plans of a track are one object.

    `current` is the block of the packet that is being forwarded.
    """

    __slots__ = ("_copied", "_send_time_head", "current", "key")

    def __init__(self, up: Iterable[Extension], down: Iterable[Extension], codec: str) -> None:
        by_uri = {extension.uri: extension.id for extension in up}
        send_time_id = 0
        copied: list[tuple[int, int]] = []  # publisher's id, subscriber's id
        for extension in down:
            if extension.uri == ABS_SEND_TIME and extension.id <= ONE_BYTE_MAX_ID:
                send_time_id = extension.id
            elif extension.uri == DEPENDENCY_DESCRIPTOR and codec in _WITHOUT_DESCRIPTOR:
                continue
            elif extension.uri in FORWARDED and extension.uri in by_uri:
                copied.append((by_uri[extension.uri], extension.id))
        self.key = (send_time_id, tuple(copied))
        self.current = b""
        self._copied = self.key[1]
        # abs-send-time comes first, where `refresh_send_time` finds it; alone it fills one word
        self._send_time_head = pack_extensions([(send_time_id, bytes(3))])[:-3] if send_time_id else b""

    def prepare(self, elements: Mapping[int, bytes], send_time: bytes) -> None:
        """Make the block of a packet whose publisher's elements are these."""
        for theirs, _ in self._copied:
            if theirs in elements:
                break
        else:
            self.current = self._send_time_head + send_time if self._send_time_head else b""
            return
        items = [(self.key[0], send_time)] if self.key[0] else []
        items += [(ours, elements[theirs]) for theirs, ours in self._copied if theirs in elements]
        self.current = pack_extensions(items)

    def refresh_send_time(self, block: bytes, send_time: bytes) -> bytes:
        """The same block for a packet sent later: old send times would look like a queue to the subscriber."""
        if not self._send_time_head or not block:
            return block
        start = 5 if block[0] == _ONE_BYTE_FIRST else 6
        return block[:start] + send_time + block[start + 3 :]
