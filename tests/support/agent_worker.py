"""An agent worker on LiveKit's own framework, unmodified. Runs in an environment of its own (`.venv-agents`).

Its agent tells whose voices reach it, in its attribute `heard`: identities, with a space between.
"""

from __future__ import annotations

import asyncio
import os
import sys

import numpy as np
from livekit import rtc
from livekit.agents import AgentServer, AutoSubscribe, JobContext, JobExecutorType, WorkerPermissions

LOUD = 500  # of 32768; silence and comfort noise are far below, people in tests hum far above


async def listen(context: JobContext) -> None:
    heard: set[str] = set()

    async def follow(track: rtc.Track, identity: str) -> None:
        async for event in rtc.AudioStream(track):
            if np.abs(np.frombuffer(event.frame.data, np.int16)).max(initial=0) > LOUD and identity not in heard:
                heard.add(identity)
                await context.room.local_participant.set_attributes({"heard": " ".join(sorted(heard))})

    tasks: set[asyncio.Task[None]] = set()

    @context.room.on("track_subscribed")
    def subscribed(track: rtc.Track, _publication: object, participant: rtc.RemoteParticipant) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            tasks.add(asyncio.create_task(follow(track, participant.identity)))

    await context.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    await context.room.local_participant.set_attributes({"told": context.job.metadata})


def main(hidden: bool) -> None:
    server = AgentServer(
        ws_url=os.environ["LIVEKIT_URL"],
        api_key=os.environ["LIVEKIT_API_KEY"],
        api_secret=os.environ["LIVEKIT_API_SECRET"],
        job_executor_type=JobExecutorType.THREAD,
        num_idle_processes=0,
        load_threshold=1e9,  # the machine of a test may be as busy as it is
        permissions=WorkerPermissions(hidden=hidden),
        max_retry=0,
        host="127.0.0.1",
        port=0,
    )
    server.rtc_session(listen, agent_name=os.environ["AGENT_NAME"])
    asyncio.run(server.run(devmode=True))


if __name__ == "__main__":
    main("hidden" in sys.argv[1:])
