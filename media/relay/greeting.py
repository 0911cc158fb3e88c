"""The first message on a signalling WebSocket: a join response, or a reconnect response for a resume. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from livekit.protocol import models, rtc

from media.relay.ice_servers import client_configuration, ice_servers
from media.relay.negotiation import CODECS
from media.relay.participant import Participant
from media.relay.settings import RelaySettings
from media.relay.sids import NODE, new_sid

# What LiveKit's clients compare: empty is refused, 0.15.1 switches dynacast off. The numbers say which server's
# behaviour is followed.
SERVER_VERSION = "1.9.11"
SERVER_PROTOCOL = 16
_NODE = new_sid(NODE)
SIF_TRAILER = b"palabre"  # ends frames that a server makes itself; we make none

PUBLISH_CODECS = tuple(models.Codec(mime="audio/opus" if name == "OPUS" else f"video/{name}") for name in CODECS)


def server_info() -> models.ServerInfo:
    return models.ServerInfo(
        edition=models.ServerInfo.Standard, version=SERVER_VERSION, protocol=SERVER_PROTOCOL, node_id=_NODE
    )


def join_response(
    room: models.Room,
    participant: Participant,
    others: Iterable[models.ParticipantInfo],
    settings: RelaySettings,
    now: float,
) -> rtc.SignalResponse:
    """`now` in seconds since the epoch. Must be the first message, or clients give up."""
    return rtc.SignalResponse(
        join=rtc.JoinResponse(
            room=room,
            participant=participant.info(),
            other_participants=others,
            server_version=SERVER_VERSION,
            server_info=server_info(),
            ice_servers=ice_servers(settings.turn, participant.sid, now),
            client_configuration=client_configuration(settings.turn),
            subscriber_primary=not participant.single,
            ping_interval=settings.timeouts.ping_interval,
            ping_timeout=settings.timeouts.ping_timeout,
            enabled_publish_codecs=PUBLISH_CODECS,
            fast_publish=True,
            sif_trailer=SIF_TRAILER,
        )
    )


def reconnect_response(participant: Participant, settings: RelaySettings, now: float) -> rtc.SignalResponse:
    """`last_message_seq` tells the client which reliable data packets it need not repeat."""
    return rtc.SignalResponse(
        reconnect=rtc.ReconnectResponse(
            ice_servers=ice_servers(settings.turn, participant.sid, now),
            client_configuration=client_configuration(settings.turn),
            server_info=server_info(),
            last_message_seq=participant.sender.last_sequence,
        )
    )
