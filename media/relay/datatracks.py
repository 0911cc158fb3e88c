"""Data tracks: named streams of frames on their own data channel, where a handle stands for the track. Pure.

Each publisher numbers its tracks and each subscriber is told other numbers, so that the two bytes of the handle are
all that changes on the way. Frame layout as in livekit-client's `data-track/packet`.
"""

from __future__ import annotations

from collections.abc import Iterator

from livekit.protocol import models, rtc

from media.relay.sids import DATA_TRACK, new_sid
from palabre.base.errors import PeerError

HEADER = 12  # bytes: version and flags, reserved, handle, sequence, frame number, timestamp
MAX_HANDLE = 0xFFFF
MAX_NAME = 256


class DataTrackRefusedError(Exception):
    """A data track that can't be published; `reason` goes into the `RequestResponse`."""

    def __init__(self, reason: rtc.RequestResponse.Reason) -> None:
        super().__init__(rtc.RequestResponse.Reason.Name(reason))
        self.reason = reason


class PublishedDataTracks:
    """The data tracks of one publisher."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_handle: dict[int, models.DataTrackInfo] = {}

    def __iter__(self) -> Iterator[models.DataTrackInfo]:
        return iter(self._by_handle.values())

    def publish(self, request: rtc.PublishDataTrackRequest) -> models.DataTrackInfo:
        """Raises `DataTrackRefusedError`. The same request again returns what is there."""
        handle, reasons = request.pub_handle, rtc.RequestResponse
        if not 0 < handle <= MAX_HANDLE:
            raise DataTrackRefusedError(reasons.INVALID_HANDLE)
        if not 0 < len(request.name) <= MAX_NAME:
            raise DataTrackRefusedError(reasons.INVALID_NAME)
        there = self._by_handle.get(handle)
        if there is not None and there.name == request.name:
            return there
        if there is not None:
            raise DataTrackRefusedError(reasons.DUPLICATE_HANDLE)
        if any(track.name == request.name for track in self):
            raise DataTrackRefusedError(reasons.DUPLICATE_NAME)
        if len(self._by_handle) >= self._limit:
            raise DataTrackRefusedError(reasons.LIMIT_EXCEEDED)
        track = models.DataTrackInfo(
            pub_handle=handle, sid=new_sid(DATA_TRACK), name=request.name, encryption=request.encryption
        )
        if request.HasField("frame_encoding"):
            track.frame_encoding.CopyFrom(request.frame_encoding)
        if request.HasField("schema"):
            track.schema.CopyFrom(request.schema)
        self._by_handle[handle] = track
        return track

    def unpublish(self, handle: int) -> models.DataTrackInfo | None:
        return self._by_handle.pop(handle, None)

    def clear(self) -> None:
        self._by_handle.clear()

    def named_in(self, frame: bytes) -> str:
        """Sid of the track a frame belongs to. Raises `PeerError`."""
        if len(frame) < HEADER:
            raise PeerError("a data track frame that is too short")
        track = self._by_handle.get(int.from_bytes(frame[2:4], "big"))
        if track is None:
            raise PeerError("a data track frame with an unknown handle")
        return track.sid


class DataSubscriptions:
    """The data tracks one subscriber gets, under the handles it was told."""

    def __init__(self) -> None:
        self._handles: dict[str, int] = {}  # sid → handle
        self._next = 1

    def add(self, sid: str) -> None:
        """Handles are not used again: a late frame must not appear in another track."""
        if sid not in self._handles and self._next <= MAX_HANDLE:
            self._handles[sid] = self._next
            self._next += 1

    def remove(self, sid: str) -> bool:
        return self._handles.pop(sid, None) is not None

    def readdress(self, sid: str, frame: bytes) -> bytes | None:
        """The frame with this subscriber's handle, or None when it does not get that track."""
        handle = self._handles.get(sid)
        return None if handle is None else frame[:2] + handle.to_bytes(2, "big") + frame[4:]

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return iter((handle, sid) for sid, handle in self._handles.items())
