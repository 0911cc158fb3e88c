"""One layer of an up track: the stream that carries it, whether it flows, what was last said of its clock and size.

Holds the throttle of key frame requests, but does not send them, and knows no subscriber.
"""

from __future__ import annotations

from typing import NamedTuple

from media.relay.plane.api import Codec
from media.relay.plane.media import Media, follows
from media.relay.plane.receiver import Receiver

KEY_FRAME_INTERVAL = 0.5  # seconds between requests to a layer: a key frame costs as much as a second of video
PATIENT_KEY_FRAME_INTERVAL = 2.0  # seconds, once `PATIENCE` requests went unanswered
PATIENCE = 6
MIN_SILENCE = 0.5  # seconds without a packet after which a camera's layer counts as stopped
MAX_SILENCE = 3.0  # the same for sources with few frames: a still screen share sends one frame a second
SILENT_FRAMES = 4  # frames that must be overdue


class ClockReport(NamedTuple):
    """What the publisher's last sender report says: 64-bit NTP time against 32-bit RTP time, and when it came."""

    ntp: int
    rtp: int
    arrival: float


class Layer:
    """`index` is the place among the track's rids, in order of rising quality."""

    __slots__ = (
        "_asked_at",
        "_frame_at",
        "_frame_gap",
        "_octets_before",
        "_requests",
        "bitrate",
        "codec",
        "flowing",
        "height",
        "index",
        "key_frame_wanted",
        "last",
        "last_at",
        "octets",
        "receiver",
        "repaired_at",
        "report",
        "rid",
        "rtx_ssrc",
        "ssrc",
        "width",
    )

    def __init__(self, index: int, rid: str) -> None:
        self.index = index
        self.rid = rid
        self.ssrc = 0  # 0: not seen yet
        self.rtx_ssrc = 0
        self.receiver: Receiver | None = None
        self.codec: Codec | None = None  # of the last packet
        self.report: ClockReport | None = None
        self.flowing = False
        self.last: Media | None = None  # the newest packet
        self.last_at = 0.0
        self.repaired_at = float("-inf")  # when a key frame was last wanted for those who read along
        self.octets = 0  # of payload
        self.bitrate = 0
        self.width = self.height = 0
        self.key_frame_wanted = False
        self._asked_at = float("-inf")
        self._requests = 0
        self._frame_at = 0.0
        self._frame_gap = 0.0
        self._octets_before = 0

    def bind(self, ssrc: int, receiver: Receiver) -> None:
        """The layer is carried by `ssrc` from now on."""
        self.ssrc = ssrc
        self.receiver = receiver
        self.last = None
        self.report = None
        self.codec = None

    def passed(self, media: Media, now: float) -> None:
        """A packet newer than all before it. Keeps the usual time between frames, and an eye on lost padding."""
        last, self.last, self.last_at = self.last, media, now
        if last is not None and media.sequence != last.sequence + 1 and self.receiver and follows(last, media):
            self.receiver.forgive(last.sequence + 1, media.sequence)
        if media.marker:
            if self._frame_at:
                self._frame_gap += (now - self._frame_at - self._frame_gap) / 8
            self._frame_at = now

    def silent(self, now: float) -> bool:
        """Whether it stopped: more frames are overdue than its own rhythm explains."""
        return now - self.last_at > min(MAX_SILENCE, max(MIN_SILENCE, SILENT_FRAMES * self._frame_gap))

    def key_frame_due(self, now: float) -> bool:
        """Whether to ask now for a key frame that is wanted; the caller then does."""
        interval = KEY_FRAME_INTERVAL if self._requests < PATIENCE else PATIENT_KEY_FRAME_INTERVAL
        if not self.ssrc or now - self._asked_at < interval:
            return False
        self._asked_at = now
        self._requests += 1
        return True

    def key_frame_came(self, size: tuple[int, int]) -> None:
        """A key frame begins; `size` as `codecs.frame_size` tells."""
        self.key_frame_wanted = False
        self._requests = 0
        if size[0]:
            self.width, self.height = size

    def measure(self, elapsed: float) -> None:
        """Take the bit rate of the last `elapsed` seconds."""
        self.bitrate = int((self.octets - self._octets_before) * 8 / elapsed)
        self._octets_before = self.octets
