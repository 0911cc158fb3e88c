"""Data packets: who sent them is stamped by us, and they go where they are addressed to. Pure.

RPC, text and byte streams, transcriptions and encrypted packets are all `DataPacket`s: nothing here looks inside.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError
from livekit.protocol import models

from palabre.base.errors import PeerError

RELIABLE = "_reliable"
LOSSY = "_lossy"
DATA_TRACK = "_data_track"
LABELS = (RELIABLE, LOSSY, DATA_TRACK)


class DataError(PeerError):
    """A data packet that is dropped."""


@dataclass(frozen=True)
class Routed:
    """A packet ready to be sent. Empty `identities` and `sids`: to everybody else."""

    label: str
    payload: bytes
    packet: models.DataPacket
    identities: frozenset[str]
    sids: frozenset[str]

    def reaches(self, identity: str, sid: str) -> bool:
        everybody = not self.identities and not self.sids
        return everybody or identity in self.identities or sid in self.sids


class Sender:
    """What is remembered of one participant's packets."""

    def __init__(self, identity: str, sid: str, limit: int) -> None:
        self._identity = identity
        self._sid = sid
        self._limit = limit  # bytes
        self.last_sequence = 0  # of reliable packets: what a resumed client need not send again

    def stamp(self, label: str, payload: bytes) -> Routed | None:
        """Make a packet from this participant ready. None: it has been seen before. Raises `DataError`."""
        if len(payload) > self._limit:
            raise DataError("a data packet that is too large")
        packet = models.DataPacket()
        try:
            packet.ParseFromString(payload)
        except DecodeError as error:
            raise DataError("a data packet that can't be read") from error
        value = packet.WhichOneof("value")
        if value is None or value == "speaker":  # who speaks is for us to say
            raise DataError("a data packet of a kind that clients may not send")
        if label == RELIABLE and packet.sequence:
            # After a resume clients repeat what may have been lost.
            if packet.sequence <= self.last_sequence:
                return None
            self.last_sequence = packet.sequence
        packet.kind = models.DataPacket.RELIABLE if label == RELIABLE else models.DataPacket.LOSSY
        packet.participant_identity = self._identity
        packet.participant_sid = self._sid
        identities = set(packet.destination_identities)
        sids: set[str] = set()
        if value == "user":
            packet.user.participant_identity = self._identity
            packet.user.participant_sid = self._sid
            identities.update(packet.user.destination_identities)
            sids.update(packet.user.destination_sids)
        return Routed(label, packet.SerializeToString(), packet, frozenset(identities), frozenset(sids))


def from_server(payload: bytes, topic: str, to: frozenset[str], *, reliable: bool = True, nonce: bytes = b"") -> Routed:
    """A user packet that no participant sent."""
    packet = models.DataPacket(
        kind=models.DataPacket.RELIABLE if reliable else models.DataPacket.LOSSY,
        destination_identities=sorted(to),
        user=models.UserPacket(payload=payload, topic=topic or None, destination_identities=sorted(to), nonce=nonce),
    )
    return Routed(RELIABLE if reliable else LOSSY, packet.SerializeToString(), packet, to, frozenset())
