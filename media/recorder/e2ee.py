"""LiveKit's end-to-end encryption of media frames, read: keys, key rings, and one frame at a time. Pure.

A frame as its encoder made it, whole, becomes::

    clear header | AES-128-GCM ciphertext, tag of 16 bytes | IV | length of the IV | index of the key

The clear header is what packetisers must see of a codec, and it is authenticated. The AES key is derived from the key
that clients exchange (HKDF-SHA256), and from what follows it when a sender ratchets. Written from the behaviour of
livekit-client 2.22 (`src/e2ee/worker`), with vectors made by it. AV1 has no agreed layout: browsers don't encrypt it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RING_SIZE = 256  # indices that one byte names; Element Call uses them all before it begins anew
RATCHET_WINDOW = 10  # Element Call's: how often a sender may ratchet between two frames that arrive
MATERIAL_BYTES = range(16, 33)  # what clients exchange: 16 bytes today, 32 in MSC4143's next version

_SALT = b"LKFrameEncryptionKey"
_INFO = bytes(128)
_AES_BYTES = 16
_RATCHETED_BYTES = 32
_TAG_BYTES = 16
_IV_BYTES = range(12, 17)  # 12 is what everybody sends
_TRAILER_BYTES = 2
_VP8_KEY_HEADER, _VP8_DELTA_HEADER = 10, 3
_START_CODE = b"\0\0\1"
_SLICES = frozenset({1, 5})  # types of H.264 units: of another picture, of a picture that stands alone


class FrameError(ValueError):
    """A frame that cannot be decrypted. `reason` is a word for a metric's label: `malformed`, `unsupported`,
    `missing_key`, `not_authentic`, or `injected` (a server made it).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _derive(material: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=_INFO).derive(material)


@dataclass
class _Key:
    """One key and those that follow it by ratcheting, derived when they are first needed."""

    material: bytes
    sent_at: float
    cipher: AESGCM
    following: list[tuple[bytes, AESGCM]] = field(default_factory=list)

    @classmethod
    def of(cls, material: bytes, sent_at: float) -> _Key:
        return cls(material, sent_at, AESGCM(_derive(material, _AES_BYTES)))

    def after(self, steps: int) -> AESGCM:
        """The cipher after `steps` ratchets."""
        while len(self.following) < steps:
            last = self.following[-1][0] if self.following else self.material
            material = _derive(last, _RATCHETED_BYTES)
            self.following.append((material, AESGCM(_derive(material, _AES_BYTES))))
        return self.following[steps - 1][1]

    def advance(self, steps: int) -> None:
        """The sender has ratcheted `steps` times: what came before is forgotten."""
        self.material, self.cipher = self.following[steps - 1]
        del self.following[:steps]


class KeyRing:
    """The media keys of one sender by their index. A ring never lets go of a key: frames may use any of them."""

    def __init__(self) -> None:
        self._keys: dict[int, _Key] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, index: int, material: bytes, sent_at: float) -> bool:
        """Take a key. False, and nothing changes, for one that was sent before the one that is there.

        Raises `ValueError` for an index or a length that no client sends.
        """
        if not 0 <= index < RING_SIZE:
            raise ValueError(f"a key's index is below {RING_SIZE}")
        if len(material) not in MATERIAL_BYTES:
            raise ValueError(f"a key has {MATERIAL_BYTES.start} to {MATERIAL_BYTES.stop - 1} bytes")
        older = self._keys.get(index)
        if older is not None and older.sent_at > sent_at:
            return False
        if older is not None and older.material == material:
            older.sent_at = sent_at
        else:
            self._keys[index] = _Key.of(material, sent_at)
        return True

    def open(self, index: int, iv: bytes, sealed: bytes, header: bytes) -> bytes:
        """Raises `FrameError`."""
        key = self._keys.get(index)
        if key is None:
            raise FrameError("missing_key")
        for steps in range(RATCHET_WINDOW + 1):
            cipher = key.after(steps) if steps else key.cipher
            try:
                clear = cipher.decrypt(iv, sealed, header)
            except InvalidTag:
                continue
            if steps:
                key.advance(steps)
            return clear
        raise FrameError("not_authentic")


def decrypt_frame(codec: str, data: bytes, ring: KeyRing, *, injected: bytes = b"") -> bytes:
    """A whole frame in the clear; an empty one stays as it is. `codec` as `media.recorder.depacketise.codec_of`.

    `injected`: how frames end that a server made itself (`JoinResponse.sif_trailer`), which nobody encrypted. Raises
    `FrameError` and nothing else.
    """
    if not data:
        return data
    if injected and data.endswith(injected):
        raise FrameError("injected")
    measure = _CLEAR_HEADERS.get(codec)
    if measure is None:
        raise FrameError("unsupported")
    size = measure(data)
    header, rest = data[:size], data[size:]
    if codec == "h264":
        rest = rest.replace(b"\0\0\3", b"\0\0")  # the emulation prevention that hides start codes in a ciphertext
    if len(rest) < _TRAILER_BYTES:
        raise FrameError("malformed")
    iv_bytes, index = rest[-2], rest[-1]
    end = len(rest) - _TRAILER_BYTES - iv_bytes
    if iv_bytes not in _IV_BYTES or end < _TAG_BYTES:
        raise FrameError("malformed")
    return header + ring.open(index, rest[end:-_TRAILER_BYTES], rest[:end], header)


def _vp8_header(data: bytes) -> int:
    """RFC 6386 section 9.1: the first bit says what kind of frame it is."""
    return _VP8_DELTA_HEADER if data[0] & 1 else _VP8_KEY_HEADER


def _h264_header(data: bytes) -> int:
    """Up to the second byte of the first unit that holds a picture; parameter sets before it are in the clear."""
    start = data.find(_START_CODE)
    while start >= 0:
        unit = start + len(_START_CODE)
        if unit < len(data) and data[unit] & 0x1F in _SLICES:
            return unit + 2
        start = data.find(_START_CODE, unit)
    raise FrameError("malformed")


_CLEAR_HEADERS: Mapping[str, Callable[[bytes], int]] = {
    "opus": lambda _data: 1,
    "red": lambda _data: 1,  # its blocks are Opus frames
    "vp8": _vp8_header,
    "vp9": lambda _data: 0,
    "h264": _h264_header,
}
