"""Keys of sealed files: data keys, how the master key wraps them, and the header that every sealed file begins with."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # NIST SP 800-38D: the size for which GCM needs no extra hashing
TAG_BYTES = 16
FILE_ID_BYTES = 16
MAGIC_BYTES = 8
HEADER_BYTES = MAGIC_BYTES + FILE_ID_BYTES + TAG_BYTES
_CHECK_NONCE = b"\xff" * NONCE_BYTES  # of the header's tag; block nonces never reach it
_WRAPPED = b"\x01"  # version of the wrapping


class SealedError(Exception):
    """A sealed file or key cannot be opened: the key is another one, or the bytes were changed."""


def new_key() -> bytes:
    """A random data key."""
    return secrets.token_bytes(KEY_BYTES)


def check_key(key: bytes) -> None:
    """Raises `SealedError` unless `key` can be a data key: to find out before anything is written."""
    if len(key) != KEY_BYTES:
        raise SealedError(f"a data key has {KEY_BYTES} bytes")


def wrap_key(master: bytes, key: bytes, purpose: str) -> bytes:
    """`key` encrypted under `master`; it opens only for the same `purpose`, for instance a recording's id."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return _WRAPPED + nonce + AESGCM(_wrapping_key(master)).encrypt(nonce, key, _WRAPPED + purpose.encode())


def unwrap_key(master: bytes, wrapped: bytes, purpose: str) -> bytes:
    """The data key. Raises `SealedError`."""
    if wrapped[:1] != _WRAPPED or len(wrapped) != 1 + NONCE_BYTES + KEY_BYTES + TAG_BYTES:
        raise SealedError("that is no wrapped key")
    nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
    try:
        return AESGCM(_wrapping_key(master)).decrypt(nonce, sealed, _WRAPPED + purpose.encode())
    except InvalidTag as error:
        raise SealedError("the master key or the purpose is not the one that wrapped this key") from error


def create_key_file(path: Path, master: bytes, purpose: str) -> bytes:
    """A new data key, stored wrapped in `path`, on disk before this returns. Deleting the file shreds what it seals.

    Raises `FileExistsError`: a key is never replaced by accident.
    """
    key = new_key()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(descriptor, wrap_key(master, key, purpose))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)
    return key


def read_key_file(path: Path, master: bytes, purpose: str) -> bytes:
    """The data key in `path`. Raises `SealedError`, or `FileNotFoundError`."""
    return unwrap_key(master, path.read_bytes(), purpose)


def sync_directory(path: Path) -> None:
    """Make names created in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_header(magic: bytes, key: bytes) -> tuple[bytes, AESGCM]:
    """The first bytes of a new file (magic, random file id, tag over both) and its cipher."""
    name = magic + secrets.token_bytes(FILE_ID_BYTES)
    cipher = AESGCM(_file_key(key, name))
    return name + cipher.encrypt(_CHECK_NONCE, b"", name), cipher


def read_header(magic: bytes, header: bytes, key: bytes) -> AESGCM:
    """The cipher of an existing file. Raises `SealedError`."""
    if len(header) != HEADER_BYTES or header[:MAGIC_BYTES] != magic:
        raise SealedError("that is not a sealed file of this kind")
    name, tag = header[:-TAG_BYTES], header[-TAG_BYTES:]
    cipher = AESGCM(_file_key(key, name))
    try:
        cipher.decrypt(_CHECK_NONCE, tag, name)
    except InvalidTag as error:
        raise SealedError("the key is not the one that sealed this file, or its beginning was changed") from error
    return cipher


def _file_key(key: bytes, name: bytes) -> bytes:
    check_key(key)
    return HKDF(SHA256(), KEY_BYTES, salt=name, info=b"palabre sealed file").derive(key)


def _wrapping_key(master: bytes) -> bytes:
    if len(master) < KEY_BYTES:
        raise SealedError(f"a master key has at least {KEY_BYTES} bytes")
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"palabre key wrapping").derive(master)
