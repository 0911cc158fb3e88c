"""RPC from the server to a participant (RoomService's PerformRpc): LiveKit's RPC packets, with us as the caller."""

from __future__ import annotations

import asyncio

from livekit.protocol import models, room

from media.relay.datachannels import RELIABLE, Routed
from media.relay.sids import RPC, new_sid
from palabre.base.errors import CallerError

CALLER = "server"  # clients drop requests of nobody
MAX_PAYLOAD = 15 * 1024  # bytes, LiveKit's limit
MAX_PENDING = 256  # per room
DEFAULT_TIMEOUT = 15.0  # seconds, as in LiveKit's SDKs
LONGEST_TIMEOUT = 60.0


class PendingCalls:
    """Calls of one room that wait for an answer. Used from the event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[models.RpcResponse]] = {}

    def take(self, packet: models.DataPacket) -> bool:
        """True: the packet belongs to a call of ours and is not for anybody else."""
        kind = packet.WhichOneof("value")
        if kind == "rpc_ack":
            return packet.rpc_ack.request_id in self._waiting
        if kind != "rpc_response":
            return False
        waiting = self._waiting.pop(packet.rpc_response.request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(packet.rpc_response)
        return waiting is not None

    def begin(self, request: room.PerformRpcRequest) -> tuple[Routed, asyncio.Future[models.RpcResponse], float]:
        """The packet to send, what to await, and for how many seconds. Raises `CallerError`."""
        if len(request.payload.encode()) > MAX_PAYLOAD:
            raise CallerError("payload_too_large", f"an RPC payload may have {MAX_PAYLOAD} bytes")
        if len(self._waiting) >= MAX_PENDING:
            raise CallerError("too_many_calls", "too many RPCs of this room wait for an answer", status=429)
        seconds = min(request.response_timeout_ms / 1000 or DEFAULT_TIMEOUT, LONGEST_TIMEOUT)
        call = new_sid(RPC)
        packet = models.DataPacket(
            kind=models.DataPacket.RELIABLE,
            participant_identity=CALLER,
            destination_identities=[request.destination_identity],
            rpc_request=models.RpcRequest(
                id=call,
                method=request.method,
                payload=request.payload,
                response_timeout_ms=int(seconds * 1000),
                version=1,
            ),
        )
        future: asyncio.Future[models.RpcResponse] = asyncio.get_running_loop().create_future()
        self._waiting[call] = future
        future.add_done_callback(lambda _: self._waiting.pop(call, None))
        to = frozenset({request.destination_identity})
        return Routed(RELIABLE, packet.SerializeToString(), packet, to, frozenset()), future, seconds

    def abandon(self) -> None:
        for waiting in list(self._waiting.values()):
            waiting.cancel()
