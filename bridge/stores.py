"""All that is stored of calls, side by side: one object per subject, over the same tables."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.artefact_store import ArtefactStore
from bridge.call_store import CallStore
from bridge.capture_store import CaptureStore
from bridge.command_log import CommandLog
from bridge.consent_store import ConsentStore
from bridge.egress_store import EgressStore
from bridge.leave_store import LeaveStore
from bridge.meetings import MeetingStore
from bridge.posts import PostStore
from bridge.removal_store import RemovalStore
from bridge.ring_store import RingStore
from bridge.sessions import SessionStore
from palabre.base.clock import Clock
from palabre.base.database import Database


@dataclass(frozen=True)
class Stores:
    meetings: MeetingStore
    calls: CallStore
    captures: CaptureStore
    consents: ConsentStore
    removals: RemovalStore
    artefacts: ArtefactStore
    posts: PostStore
    egress: EgressStore
    leaves: LeaveStore
    rings: RingStore
    sessions: SessionStore
    commands: CommandLog

    @classmethod
    def over(cls, database: Database, clock: Clock, session_ttl: float) -> Stores:
        """`database`: with `bridge.schema.upgrade_table` applied."""
        return cls(
            meetings=MeetingStore(database, clock),
            calls=CallStore(database, clock),
            captures=CaptureStore(database),
            consents=ConsentStore(database),
            removals=RemovalStore(database),
            artefacts=ArtefactStore(database),
            posts=PostStore(database, clock),
            egress=EgressStore(database),
            leaves=LeaveStore(database),
            rings=RingStore(database),
            sessions=SessionStore(database, clock, session_ttl),
            commands=CommandLog(database, clock),
        )
