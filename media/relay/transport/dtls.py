"""DTLS 1.2 of one peer, on OpenSSL's memory buffers: handshake, SRTP keys, application data (RFC 5763, RFC 5764).

Synchronous: datagrams in, datagrams out through a callback. A record that OpenSSL does not accept is dropped there, as
RFC 6347 section 4.1.2.7 says; it never ends the session. Only datagrams from addresses that ICE has proved get here.
"""

from __future__ import annotations

import datetime as dt
import hmac
import secrets
from collections.abc import Callable
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from palabre.base.errors import PeerError

MTU = 1200  # bytes of a datagram: passes IPv6's minimum of 1280 and every tunnel met in practice
RECORD_HEADER = 13  # bytes, RFC 6347 section 4.1
READ_SIZE = 65_536
CERTIFICATE_DAYS = 365
CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384"
_DTLS1_2 = 0xFEFD
EXPORTER = b"EXTRACTOR-dtls_srtp"  # RFC 5764 section 4.2
DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "sha-256": hashes.SHA256(),
    "sha-384": hashes.SHA384(),
    "sha-512": hashes.SHA512(),
}


class DtlsError(PeerError):
    """The handshake can't succeed."""


class SrtpKeys(NamedTuple):
    """What the handshake yields for media; keys are master key + salt."""

    profile: str
    receive: bytes
    send: bytes


# name for the plane: key and salt length in bytes (RFC 3711, RFC 7714); in our order of preference, the cheapest first
PROFILES = {"AEAD_AES_128_GCM": (16, 12), "AEAD_AES_256_GCM": (32, 12), "AES128_CM_SHA1_80": (16, 14)}


class DtlsCertificate:
    """Self-signed, made at start, shared by every session of the process."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, secrets.token_hex(8))])
        now = dt.datetime.now(tz=dt.UTC)
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
            .sign(self._key, hashes.SHA256())
        )
        self.fingerprint = ("sha-256", fingerprint(self._certificate, "sha-256"))
        self._context = self._make_context()

    def _make_context(self) -> SSL.Context:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.set_min_proto_version(_DTLS1_2)
        context.set_max_proto_version(_DTLS1_2)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
        # The fingerprint in the SDP is what authenticates the peer (RFC 8122), not a chain of certificates.
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.use_certificate(self._certificate)
        context.use_privatekey(self._key)
        context.set_cipher_list(CIPHERS)
        context.set_tlsext_use_srtp(b":".join(b"SRTP_" + name.encode() for name in PROFILES))
        return context

    def connection(self) -> SSL.Connection:
        return SSL.Connection(self._context)


def fingerprint(certificate: x509.Certificate, algorithm: str) -> str:
    digest = certificate.fingerprint(DIGESTS[algorithm]).hex().upper()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))


class DtlsSession:
    """`send` gets datagrams for the selected path; `keys` is set once the peer has proved to be who it said."""

    def __init__(
        self, certificate: DtlsCertificate, *, server: bool, remote: tuple[str, str], send: Callable[[bytes], None]
    ) -> None:
        algorithm, value = remote
        if algorithm.lower() not in DIGESTS:
            raise DtlsError(f"fingerprint algorithm {algorithm[:16]} is not supported")
        self._remote = (algorithm.lower(), value.upper())
        self._server = server
        self._send = send
        self._ssl = certificate.connection()
        self._ssl.set_ciphertext_mtu(MTU)
        if server:
            self._ssl.set_accept_state()
        else:
            self._ssl.set_connect_state()
        self.keys: SrtpKeys | None = None
        self.closed = False  # the peer said close_notify

    def start(self) -> None:
        """A client speaks first."""
        if not self._server:
            self._handshake()

    def timeout(self) -> float | None:
        """Seconds until the last flight is to be sent again; None when nothing is outstanding."""
        if self.keys is not None:
            return None
        left = self._ssl.DTLSv1_get_timeout()
        return None if left is None else float(left)

    def retransmit(self) -> None:
        """The time-out has come."""
        self._ssl.DTLSv1_handle_timeout()
        self._flush()

    def receive(self, datagram: bytes) -> list[bytes]:
        """Application data of one datagram. Raises `DtlsError` while the handshake fails for good."""
        self._ssl.bio_write(datagram)
        if self.keys is None:
            self._handshake()
            if self.keys is None:
                return []
        return self._read()

    def send(self, data: bytes) -> None:
        """Application data; one call, one datagram. Raises `DtlsError` once the session is over."""
        try:
            self._ssl.send(data)
        except SSL.Error as error:
            raise DtlsError("the session is over") from error
        self._flush()

    def close(self) -> None:
        """Say close_notify, so that the peer need not wait for a time-out."""
        if self.keys is not None and not self.closed:
            try:
                self._ssl.shutdown()
            except SSL.Error:
                return  # the session is broken already; there is nobody to tell
            self._flush()

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            self._flush()  # the alert that says why
            raise DtlsError("handshake failed") from error
        self._flush()
        self._check_identity()
        self.keys = self._export()

    def _check_identity(self) -> None:
        certificate = self._ssl.get_peer_certificate(as_cryptography=True)
        algorithm, expected = self._remote
        if certificate is None or not hmac.compare_digest(fingerprint(certificate, algorithm), expected):
            raise DtlsError("the certificate is not the one of the SDP")

    def _export(self) -> SrtpKeys:
        name = self._ssl.get_selected_srtp_profile().decode().removeprefix("SRTP_")
        if name not in PROFILES:
            raise DtlsError("no SRTP profile in common")
        key, salt = PROFILES[name]
        material = self._ssl.export_keying_material(EXPORTER, 2 * (key + salt))
        client = material[:key] + material[2 * key : 2 * key + salt]
        server = material[key : 2 * key] + material[2 * key + salt :]
        return SrtpKeys(name, client, server) if self._server else SrtpKeys(name, server, client)

    def _read(self) -> list[bytes]:
        data = []
        while True:
            try:
                data.append(self._ssl.recv(READ_SIZE))
            except SSL.ZeroReturnError:
                self.closed = True
                break
            except SSL.Error:  # WantRead: nothing more; else a record that does not decrypt, which is dropped
                break
        self._flush()
        return data

    def _flush(self) -> None:
        """Send what OpenSSL has written, whole records, as many to a datagram as fit."""
        pending = b""
        while True:
            try:
                pending += self._ssl.bio_read(READ_SIZE)
            except SSL.Error:
                break
        for datagram in pack_records(pending):
            self._send(datagram)


def pack_records(stream: bytes) -> list[bytes]:
    """Cut a run of DTLS records into datagrams of at most `MTU`, never inside a record."""
    datagrams: list[bytes] = []
    current = b""
    position = 0
    while position < len(stream):
        length = RECORD_HEADER + int.from_bytes(stream[position + 11 : position + 13], "big")
        record = stream[position : position + length]
        if current and len(current) + len(record) > MTU:
            datagrams.append(current)
            current = b""
        current += record
        position += length
    if current:
        datagrams.append(current)
    return datagrams
