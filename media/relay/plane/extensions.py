"""Which header extensions mean something here, and the block of them that a subscriber gets.

Values are URIs of https://www.iana.org/assignments/rtp-parameters and of libwebrtc. A `Plan` says how to translate a
publisher's elements to a subscriber's ids; packets for subscribers with the same plan share one block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from media.relay.plane.api import Codec, Extension
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
# publisher's, send times and transport-cc numbers are written anew.
FORWARDED = frozenset(
    {AUDIO_LEVEL, VIDEO_ORIENTATION, ABS_CAPTURE_TIME, PLAYOUT_DELAY, VIDEO_CONTENT_TYPE, DEPENDENCY_DESCRIPTOR}
)

# The descriptor tells dependencies that the VP8 and H.264 payloads tell as well, and makes libwebrtc send VP8 without
# picture ids. Should one arrive with them all the same, it stays here.
_WITHOUT_DESCRIPTOR = frozenset({"VP8", "H264"})

_ONE_BYTE_FIRST = ONE_BYTE_PROFILE >> 8
_NO_NUMBER = bytes(2)
_TICKS_PER_SECOND = 1 << 18  # abs-send-time is 6.18 fixed point


def absolute_send_time(now: float) -> bytes:
    """The abs-send-time element for a packet sent at `now` (any clock: only differences count)."""
    return (int(now * _TICKS_PER_SECOND) & 0xFFFFFF).to_bytes(3, "big")


class Plan:
    """How one subscriber section numbers what it is sent. Equal plans of a track are one object.

    The element of the hop comes first, where `stamp` finds it: the number of transport-cc, or else the time of sending,
    from which the subscriber makes an estimate of its own (REMB). A number belongs to one packet alone, so that there
    is none where what is lost is sent again as the very same packet.

    `current` is the block of the packet that is being forwarded.
    """

    __slots__ = ("_copied", "_head", "current", "key", "numbered")

    def __init__(self, up: Iterable[Extension], down: Iterable[Extension], codec: Codec) -> None:
        by_uri = {extension.uri: extension.id for extension in up}
        send_time_id = number_id = 0
        copied: list[tuple[int, int]] = []  # publisher's id, subscriber's id
        for extension in down:
            if extension.uri == ABS_SEND_TIME and extension.id <= ONE_BYTE_MAX_ID:
                send_time_id = extension.id
            elif extension.uri == TRANSPORT_CC and extension.id <= ONE_BYTE_MAX_ID:
                number_id = extension.id if codec.rtx_payload_type >= 0 or not codec.nack else 0
            elif extension.uri == DEPENDENCY_DESCRIPTOR and codec.name in _WITHOUT_DESCRIPTOR:
                continue
            elif extension.uri in FORWARDED and extension.uri in by_uri:
                copied.append((by_uri[extension.uri], extension.id))
        self.numbered = number_id > 0
        self.key = (0 if self.numbered else send_time_id, number_id, tuple(copied))
        self.current = b""
        self._copied = self.key[2]
        self._head = pack_extensions(self._first_item(bytes(3)))

    def _first_item(self, send_time: bytes) -> list[tuple[int, bytes]]:
        send_time_id, number_id, _ = self.key
        if self.numbered:
            return [(number_id, _NO_NUMBER)]
        return [(send_time_id, send_time)] if send_time_id else []

    def prepare(self, elements: Mapping[int, bytes], send_time: bytes) -> None:
        """Make the block of a packet whose publisher's elements are these. It bears no number yet."""
        for theirs, _ in self._copied:
            if theirs in elements:
                break
        else:
            self.current = self._alone(send_time)
            return
        items = self._first_item(send_time)
        items += [(ours, elements[theirs]) for theirs, ours in self._copied if theirs in elements]
        self.current = pack_extensions(items)

    def _alone(self, send_time: bytes) -> bytes:
        """The block when nothing but the hop's element is in it; a send time ends it."""
        if self.numbered or not self._head:
            return self._head
        return self._head[:-3] + send_time

    @staticmethod
    def stamp(block: bytes, element: bytes) -> bytes:
        """The same block with another number, or for a packet sent later: old send times would look like a queue to the
        subscriber. `block` has an element of the hop."""
        start = 5 if block[0] == _ONE_BYTE_FIRST else 6
        return block[:start] + element + block[start + len(element) :]
