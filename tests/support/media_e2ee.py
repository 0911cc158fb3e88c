"""The sender's side of LiveKit's frame encryption, and readers with its keys, for tests."""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from media.recorder.e2ee import KeyRing
from media.recorder.encrypted import EncryptedTrack, FrameSink


def derive(material: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=b"LKFrameEncryptionKey", info=bytes(128)).derive(material)


def ratcheted(key: bytes, steps: int) -> bytes:
    for _ in range(steps):
        key = derive(key, 32)
    return key


def clear_header(codec: str, clear: bytes) -> int:
    """Bytes that stay readable; of H.264 for a frame that is one unit behind a long start code."""
    return {"vp8": 3 if clear[0] & 1 else 10, "vp9": 0, "h264": 6}.get(codec, 1)


def seal_frame(codec: str, clear: bytes, key: bytes, index: int = 0) -> bytes:
    """A frame as a client sends it."""
    size = clear_header(codec, clear)
    iv = os.urandom(12)
    tail = AESGCM(derive(key, 16)).encrypt(iv, clear[size:], clear[:size]) + iv + bytes([12, index])
    return clear[:size] + (escape(tail) if codec == "h264" else tail)


def escape(data: bytes) -> bytes:
    """ITU-T H.264 section 7.4.1.1: a 3 before what would be taken for a start code."""
    out, zeros = bytearray(), 0
    for byte in data:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def ring_of(key: bytes, index: int = 0) -> KeyRing:
    ring = KeyRing()
    assert ring.put(index, key, 1.0)
    return ring


def decrypting(
    sink: FrameSink,
    ring: KeyRing | None,
    *,
    want_key_frame: Callable[[], None] = lambda: None,
    gap: Callable[[float, float], None] = lambda _start, _end: None,
) -> EncryptedTrack:
    """A track whose keys are known from the start, or never."""
    return EncryptedTrack(sink, lambda: ring, injected=b"palabre", want_key_frame=want_key_frame, gap=gap)
