"""The signalling of a client without media, on `/rtc` (two peer connections) or `/rtc/v1` (one)."""

from __future__ import annotations

import asyncio
import base64
import gzip
from typing import Any

import aiohttp
from livekit.protocol import models, rtc

from tests.support.light import descriptions
from tests.support.light.descriptions import Section
from tests.support.light.transport import LightTransport

LABELS = ("_reliable", "_lossy", "_data_track")
PATIENCE = 15.0  # seconds for anything
INFO = models.ClientInfo(sdk=models.ClientInfo.JS, version="2.23.0", protocol=17, client_protocol=2)


class LightClient:
    """Joins, publishes tracks that never send, takes every track it is offered, leaves."""

    def __init__(self, http: aiohttp.ClientSession, url: str, identity: str, *, single: bool) -> None:
        self._http, self._url, self.identity, self.single = http, url, identity, single
        self.publisher = LightTransport(LABELS, len(LABELS))
        # Of a dual connection the relay opens the channels towards the client.
        self.subscriber = self.publisher if single else LightTransport((), len(LABELS))
        self._sections = [Section("audio")] * 3 + [Section("video")] * 3 if single else []
        self._sections = [Section("application"), *self._sections]
        self._offers = 0
        self._published: dict[str, asyncio.Event] = {}
        self._socket: Any = None
        self._reader: asyncio.Task[None] | None = None
        self.active = asyncio.Event()  # the relay says that we are
        self.resumed = asyncio.Event()
        self.left: rtc.LeaveRequest | None = None
        self.sid = ""
        self.others: set[str] = set()  # identities of those who are there
        self.tracks: set[str] = set()  # that we get
        self.received = self.octets = 0  # signalling messages, and their size

    # -- joining

    async def join(self, token: str) -> float:
        """Until media could flow. The seconds that took. Raises `TimeoutError`, `ConnectionError`, aiohttp's errors."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.timeout(PATIENCE):
            self._reader = await self._open(token, self._query())
            there = asyncio.create_task(self._there())
            await asyncio.wait({self._reader, there}, return_when=asyncio.FIRST_COMPLETED)
            if not there.done():
                there.cancel()
                self._reader.result()
                raise ConnectionError(f"{self.identity}: the relay closed the socket ({self.left})")
        return loop.time() - begun

    async def _open(self, token: str, query: dict[str, str]) -> asyncio.Task[None]:
        """A WebSocket, and the task that reads it."""
        self._socket = await self._http.ws_connect(
            self._url + ("/rtc/v1" if self.single else "/rtc"),
            params=query,
            headers={"Authorization": f"Bearer {token}"},
            max_msg_size=0,
            autoclose=False,
        )
        return asyncio.create_task(self._read())

    async def resume(self, token: str) -> None:
        """Lose the WebSocket and come back on another one."""
        await self._stop_reading()
        async with asyncio.timeout(PATIENCE):
            self._reader = await self._open(token, self._query(reconnect=True))
            await self.resumed.wait()

    async def _there(self) -> None:
        """The relay says that we are active, and every connection of ours stands."""
        await self.active.wait()
        await self.subscriber.ready.wait()
        await self.publisher.ready.wait()

    def _query(self, *, reconnect: bool = False) -> dict[str, str]:
        if not self.single:
            again = {"reconnect": "1", "sid": self.sid} if reconnect else {}
            return {"auto_subscribe": "1", "protocol": "17", "sdk": "js", "version": "2.23.0", **again}
        settings = rtc.ConnectionSettings(auto_subscribe=True)
        join = rtc.JoinRequest(client_info=INFO, connection_settings=settings)
        if reconnect:
            join.reconnect, join.participant_sid = True, self.sid
        else:
            join.publisher_offer.CopyFrom(self._offer())
        wrapped = rtc.WrappedJoinRequest(
            compression=rtc.WrappedJoinRequest.GZIP, join_request=gzip.compress(join.SerializeToString(), 1)
        )
        return {"join_request": base64.urlsafe_b64encode(wrapped.SerializeToString()).decode()}

    def _offer(self) -> rtc.SessionDescription:
        self._offers += 1
        text = descriptions.offer(self._sections, self.publisher.local, self._offers)
        return rtc.SessionDescription(type="offer", sdp=text, id=self._offers)

    async def send(self, **request: Any) -> None:
        await self._socket.send_bytes(rtc.SignalRequest(**request).SerializeToString())

    # -- in the room

    async def publish(self, kind: str) -> None:
        """Announce a track and offer it; it never sends. Until the relay has answered."""
        cid = f"{kind}-{self.identity}-{len(self._sections)}"
        source = models.MICROPHONE if kind == "audio" else models.CAMERA
        number = models.AUDIO if kind == "audio" else models.VIDEO
        answered = self._published[cid] = asyncio.Event()
        request = rtc.AddTrackRequest(cid=cid, name=kind, type=number, source=source, width=1280, height=720)
        await self.send(add_track=request)
        async with asyncio.timeout(PATIENCE):
            await answered.wait()
        self._sections.append(Section(kind, cid))
        await self.send(offer=self._offer())

    async def keep_alive(self) -> None:
        """What a client says every few seconds."""
        await self.send(ping_req=rtc.Ping(timestamp=1, rtt=1))
        for transport in {self.publisher, self.subscriber}:
            transport.check()

    async def _read(self) -> None:
        async for message in self._socket:
            self.received += 1
            self.octets += len(message.data)
            response = rtc.SignalResponse.FromString(message.data)
            kind = response.WhichOneof("message")
            handler = getattr(self, f"_on_{kind}", None)
            if handler is not None:
                await handler(getattr(response, kind))

    async def _on_join(self, join: rtc.JoinResponse) -> None:
        self.sid = join.participant.sid
        for other in join.other_participants:
            self.others.add(other.identity)
        if not self.single:  # `fast_publish`: livekit-client offers at once
            await self.send(offer=self._offer())

    async def _on_reconnect(self, _reconnect: rtc.ReconnectResponse) -> None:
        self.resumed.set()

    async def _on_offer(self, offer: rtc.SessionDescription) -> None:
        text = descriptions.answer(offer.sdp, self.subscriber.local)
        await self.send(answer=rtc.SessionDescription(type="answer", sdp=text, id=offer.id))
        self.tracks = set(offer.mid_to_track_id.values())
        await self.subscriber.connect(descriptions.remote(offer.sdp))

    async def _on_answer(self, answer: rtc.SessionDescription) -> None:
        if self.single:
            own = {mid for mid, section in enumerate(self._sections) if section.cid}
            self.tracks = {sid for mid, sid in answer.mid_to_track_id.items() if int(mid) not in own}
        await self.publisher.connect(descriptions.remote(answer.sdp))

    async def _on_media_sections_requirement(self, needed: rtc.MediaSectionsRequirement) -> None:
        self._sections += [Section("audio")] * needed.num_audios + [Section("video")] * needed.num_videos
        await self.send(offer=self._offer())

    async def _on_track_published(self, published: rtc.TrackPublishedResponse) -> None:
        self._published[published.cid].set()

    async def _on_update(self, update: rtc.ParticipantUpdate) -> None:
        for participant in update.participants:
            if participant.state == models.ParticipantInfo.DISCONNECTED:
                self.others.discard(participant.identity)
            elif participant.sid != self.sid:
                self.others.add(participant.identity)
            elif participant.state == models.ParticipantInfo.ACTIVE:
                self.active.set()

    async def _on_leave(self, leave: rtc.LeaveRequest) -> None:
        self.left = leave

    # -- leaving

    async def leave(self, how: str = "leave") -> None:
        """`leave`: says so; `tab`: a closed tab, whose goodbye comes on the media path; `gone`: says nothing at all."""
        if how == "leave" and not self._socket.closed:
            await self.send(leave=rtc.LeaveRequest(reason=models.CLIENT_INITIATED))
        for transport in {self.publisher, self.subscriber}:
            transport.close(goodbye=how != "gone")
        await self._stop_reading()

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()
