"""Media keys as MatrixRTC clients send them to devices in a call: `io.element.call.encryption_keys`. Pure.

What a message claims about its sender counts for nothing: `media_key` is told which device has been proven to have sent
it. https://github.com/element-hq/element-call/ sends them since 0.9, always inside Olm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from appservice.device_keys import decode_key
from appservice.events import as_id, as_int, as_object, as_text
from appservice.recorder_device import OlmMessage

ENCRYPTION_KEYS = "io.element.call.encryption_keys"
INDICES = range(256)  # one byte in each frame
KEY_BYTES = range(16, 33)


class KeyMessageError(ValueError):
    """A message that brings no key that may be used. `reason` is a word for a metric's label."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class MediaKey:
    """The key that `user_id` encrypts media with on `device_id` in the call of that room."""

    room_id: str
    user_id: str
    device_id: str
    index: int
    key: bytes = field(repr=False)
    sent_at: float  # seconds since the epoch, as the sender's clock has it: orders keys of one index


def media_key(message: OlmMessage, device_id: str) -> MediaKey:
    """Of a message that `device_id` of its sender is proven to have sent. Raises `KeyMessageError`."""
    if message.type != ENCRYPTION_KEYS:
        raise KeyMessageError("other_type")
    content = message.content
    room_id = as_id(content.get("room_id"), "!")
    keys, member = as_object(content.get("keys")), as_object(content.get("member"))
    index = as_int(keys.get("index"), -1)
    if member.get("claimed_device_id") != device_id:
        raise KeyMessageError("claimed_device")
    try:
        key = decode_key(as_text(keys.get("key"), 64))
    except ValueError:
        raise KeyMessageError("malformed") from None
    if not room_id or index not in INDICES or len(key) not in KEY_BYTES:
        raise KeyMessageError("malformed")
    sent_at = as_int(content.get("sent_ts"), 0) / 1000
    return MediaKey(room_id, message.sender, device_id, index, key, sent_at)
