"""A packet of a layer, taken apart once for all of its subscribers."""

from __future__ import annotations

from typing import NamedTuple

from media.relay.plane.codecs import Description, picture_id


class Media(NamedTuple):
    """The payload is head + middle + rest; only `middle` differs between subscribers."""

    sequence: int  # extended
    timestamp: int
    marker: int  # 0x80 or 0
    head: bytes
    middle: bytes  # picture id and TL0PICIDX with what lies between them, empty without picture id
    rest: bytes
    picture: int  # picture id, -1: none
    picture_size: int  # bytes, 0: none
    base_layer: int  # TL0PICIDX, -1: none
    starts: bool  # a frame begins here
    span: int = 0  # what an Opus packet plays, in ticks of its timestamp; 0: not known


def take_apart(
    packet: bytes,
    start: int,
    end: int,
    sequence: int,
    timestamp: int,
    marker: int,
    description: Description,
    span: int = 0,
) -> Media:
    """What `codecs` describes, cut where subscribers' versions differ. `packet[start:end]` is the payload."""
    _, starts, at, size, base_at = description
    if not at:
        return Media(sequence, timestamp, marker, b"", b"", packet[start:end], -1, 0, -1, starts, span)
    rest = base_at + 1 if base_at else at + size
    base_layer = packet[base_at] if base_at else -1
    picture = picture_id(packet, at, size)
    return Media(
        sequence,
        timestamp,
        marker,
        packet[start:at],
        packet[at:rest],
        packet[rest:end],
        picture,
        size,
        base_layer,
        starts,
    )


def follows(last: Media, media: Media) -> bool:
    """Whether `media` begins the frame right after the one that `last` ended: what lay between was padding.

    If some of that was lost, nobody will ever send it again, and its places would stay empty for good. The Rust SDK
    pads on the media SSRC when it has no RTX, and on that of sound while it has no picture. Told by picture ids and
    by what Opus packets play, so for VP8, VP9 and Opus only.
    """
    if last.span:
        return (media.timestamp - last.timestamp) & 0xFFFFFFFF == last.span
    return (
        last.marker != 0
        and media.starts
        and last.picture >= 0
        and media.picture_size == last.picture_size
        and (media.picture - last.picture) & (0x7FFF if media.picture_size == 2 else 0x7F) == 1
    )
