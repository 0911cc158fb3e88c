"""SRTP and SRTCP of one peer through libsrtp: keys, profiles, the replay window. No RTP knowledge.

pylibsrtp's public `Session` copies and wraps each packet at a third of the whole cost of sending one, so the two calls
of the hot path go to its libsrtp binding directly. That touches private names (`_binding.ffi`, `_binding.lib`,
`Session._srtp`); they are checked when this module is imported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib

from palabre.base.errors import PeerError

REPLAY_WINDOW = 1024  # packets: RTX and plain retransmissions come hundreds of packets late; libwebrtc uses 1024
MAX_DATAGRAM = 2048  # bytes: above any path MTU that WebRTC uses, below what a jumbo frame could waste
_MAX_TRAILER = 16 + 128 + 4  # libsrtp: authentication tag, MKI, SRTCP index

PROFILES = {
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    "AEAD_AES_256_GCM": Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    "AES128_CM_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}

# srtp_err_status_t of libsrtp 2, as drop reasons; the rest is "srtp_error"
_REASONS = {2: "srtp_malformed", 7: "srtp_authentication", 8: "srtp_malformed", 9: "srtp_replay", 10: "srtp_replay"}

_NEEDED = ("srtp_protect", "srtp_protect_rtcp", "srtp_unprotect", "srtp_unprotect_rtcp")
_missing = [name for name in _NEEDED if not hasattr(lib, name)] + ["_srtp"] * (not hasattr(Session(), "_srtp"))
if _missing:
    raise ImportError(f"pylibsrtp lacks {', '.join(_missing)}: Palabre is built for pylibsrtp 1.0")


class SrtpError(PeerError):
    """A packet that can't be unprotected or protected; `reason` is a drop counter's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _session(profile: str, key: bytes, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[profile])
    policy.window_size = REPLAY_WINDOW
    policy.allow_repeat_tx = True  # a plain retransmission is the same packet under the same sequence number
    return Session(policy)


def _transformation(function: Any, session: Session) -> Callable[[bytes], bytes]:
    """One of libsrtp's four in-place transformations as bytes to bytes. A closure: local names are the quickest."""
    context = session._srtp[0]
    memory = ffi.new("unsigned char[]", MAX_DATAGRAM + _MAX_TRAILER)
    buffer = ffi.buffer(memory)
    length = ffi.new("int *")

    def transform(packet: bytes, _held: Session = session) -> bytes:  # libsrtp's memory is freed with the session
        size = len(packet)
        if size > MAX_DATAGRAM:
            raise SrtpError("too_long")
        buffer[0:size] = packet
        length[0] = size
        status = function(context, memory, length)
        if status:
            raise SrtpError(_REASONS.get(status, "srtp_error"))
        result: bytes = buffer[0 : length[0]]
        return result

    return transform


class SrtpReceiver:
    """What a peer sends: `rtp` and `rtcp` take protected bytes. They raise `SrtpError`."""

    def __init__(self, profile: str, key: bytes) -> None:
        self._session = _session(profile, key, Policy.SSRC_ANY_INBOUND)
        self.context: Any = self._session._srtp[0]  # libsrtp's, for the compiled packet path; lives as long as this
        self.rtp = _transformation(lib.srtp_unprotect, self._session)
        self.rtcp = _transformation(lib.srtp_unprotect_rtcp, self._session)

    def forget(self, ssrc: int) -> None:
        """Free libsrtp's state of a stream, if there is any. Its packets could be replayed afterwards."""
        with contextlib.suppress(Error):
            self._session.remove_stream(ssrc)


class SrtpSender:
    """What a peer is sent: `rtp` and `rtcp` return protected bytes. They raise `SrtpError`."""

    def __init__(self, profile: str, key: bytes) -> None:
        self._session = _session(profile, key, Policy.SSRC_ANY_OUTBOUND)
        self.context: Any = self._session._srtp[0]
        self.rtp = _transformation(lib.srtp_protect, self._session)
        self.rtcp = _transformation(lib.srtp_protect_rtcp, self._session)
