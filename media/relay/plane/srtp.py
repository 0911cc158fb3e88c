"""SRTP and SRTCP of one peer through libsrtp: keys, profiles, the replay window. No RTP knowledge.

pylibsrtp's public `Session` copies and wraps each packet at a third of the whole cost of sending one, so the two calls
of the hot path go to its libsrtp binding directly. That touches private names (`_binding.ffi`, `_binding.lib`,
`Session._srtp`); they are checked when this module is imported.
"""

from __future__ import annotations

from typing import Any

from pylibsrtp import Policy, Session
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
if missing := [name for name in _NEEDED if not hasattr(lib, name)]:
    raise ImportError(f"this pylibsrtp does not bind {', '.join(missing)}; Palabre is built for pylibsrtp 1.0")


class SrtpError(PeerError):
    """A packet that can't be unprotected or protected; `reason` is a drop counter's name."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Context:
    """One direction of one peer."""

    def __init__(self, profile: str, key: bytes, direction: int) -> None:
        policy = Policy(key=key, ssrc_type=direction, srtp_profile=PROFILES[profile])
        policy.window_size = REPLAY_WINDOW
        policy.allow_repeat_tx = True  # a plain retransmission is the same packet under the same sequence number
        self._session = Session(policy)
        self._context: Any = self._session._srtp[0]
        self._memory: Any = ffi.new("unsigned char[]", MAX_DATAGRAM + _MAX_TRAILER)
        self._buffer: Any = ffi.buffer(self._memory)
        self._length: Any = ffi.new("int *")

    def _run(self, function: Any, packet: bytes) -> bytes:
        size = len(packet)
        if size > MAX_DATAGRAM:
            raise SrtpError("too_long")
        buffer, length = self._buffer, self._length
        buffer[0:size] = packet
        length[0] = size
        status = function(self._context, self._memory, length)
        if status:
            raise SrtpError(_REASONS.get(status, "srtp_error"))
        result: bytes = buffer[0 : length[0]]
        return result

    def forget(self, ssrc: int) -> None:
        """Free libsrtp's state of a stream. Its packets could be replayed afterwards."""
        self._session.remove_stream(ssrc)


class SrtpReceiver(_Context):
    """What a peer sends. Raises `SrtpError`."""

    def __init__(self, profile: str, key: bytes) -> None:
        super().__init__(profile, key, Policy.SSRC_ANY_INBOUND)

    def rtp(self, datagram: bytes) -> bytes:
        """SRTP to RTP."""
        return self._run(lib.srtp_unprotect, datagram)

    def rtcp(self, datagram: bytes) -> bytes:
        """SRTCP to RTCP."""
        return self._run(lib.srtp_unprotect_rtcp, datagram)


class SrtpSender(_Context):
    """What a peer is sent. Raises `SrtpError`."""

    def __init__(self, profile: str, key: bytes) -> None:
        super().__init__(profile, key, Policy.SSRC_ANY_OUTBOUND)

    def rtp(self, packet: bytes) -> bytes:
        """RTP to SRTP."""
        return self._run(lib.srtp_protect, packet)

    def rtcp(self, packet: bytes) -> bytes:
        """RTCP to SRTCP."""
        return self._run(lib.srtp_protect_rtcp, packet)
