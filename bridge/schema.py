"""The tables of what crosses between calls and rooms: `bridge_*`, one upgrade table for the package."""

from __future__ import annotations

from palabre.base.database import Connection, Scheme, UpgradeTable

upgrade_table = UpgradeTable(version_table_name="bridge_version", database_name="bridge")

# Times are seconds since the Unix epoch. Ids are random text (palabre.base.ids). `person` is a Matrix user id, or
# `guest:…` for somebody who has none (bridge.people).
_TABLES = (
    """CREATE TABLE bridge_meeting (
        id           TEXT PRIMARY KEY,
        room_id      TEXT UNIQUE,      -- null until the homeserver made the room
        title        TEXT NOT NULL,
        mode         TEXT NOT NULL,    -- what the room wants of its calls: auto, e2ee, server (bridge.modes)
        language     TEXT NOT NULL,
        created_by   TEXT NOT NULL,
        created_at   DOUBLE PRECISION NOT NULL,
        origin_event TEXT UNIQUE       -- the command that asked for it, so that it is obeyed once
    )""",
    """CREATE TABLE bridge_command (
        event_id TEXT PRIMARY KEY,     -- was obeyed: after a crash only the answer is repeated
        done_at  DOUBLE PRECISION NOT NULL
    )""",
    """CREATE TABLE bridge_session (
        token_hash TEXT PRIMARY KEY,   -- SHA-256: the token itself is never stored
        person     TEXT NOT NULL,
        name       TEXT NOT NULL,
        meeting    TEXT REFERENCES bridge_meeting (id) ON DELETE CASCADE,  -- null: every meeting the person may join
        expires_at DOUBLE PRECISION NOT NULL
    )""",
    """CREATE TABLE bridge_call (
        id         TEXT PRIMARY KEY,
        meeting    TEXT NOT NULL REFERENCES bridge_meeting (id) ON DELETE CASCADE,
        room       TEXT NOT NULL UNIQUE,  -- name of the LiveKit room
        created_at DOUBLE PRECISION NOT NULL,
        started_at DOUBLE PRECISION,      -- null until somebody came
        alive_at   DOUBLE PRECISION NOT NULL,  -- last time the call was seen running, to date the end after a crash
        ended_at   DOUBLE PRECISION
    )""",
    "CREATE UNIQUE INDEX bridge_call_open ON bridge_call (meeting) WHERE ended_at IS NULL",
    """CREATE TABLE bridge_participant (
        call      TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
        identity  TEXT NOT NULL,       -- as the relay knows them: person/device
        person    TEXT NOT NULL,
        name      TEXT NOT NULL,
        joined_at DOUBLE PRECISION,    -- null while they hold a token and have not come
        left_at   DOUBLE PRECISION,
        PRIMARY KEY (call, identity)
    )""",
    """CREATE TABLE bridge_consent (
        seq    INTEGER NOT NULL,       -- 1, 2, 3 … within the call: the last one counts, the others are the history
        call   TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
        person TEXT NOT NULL,
        kind   TEXT NOT NULL,          -- recording, transcription
        answer TEXT NOT NULL,          -- unasked, asked, yes, no (bridge.consent)
        how    TEXT NOT NULL,          -- page, command, started, joined, capture_ended
        at     DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (call, seq)
    )""",
    """CREATE TABLE bridge_capture (
        id          TEXT PRIMARY KEY,
        call        TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
        kind        TEXT NOT NULL,
        started_by  TEXT NOT NULL,
        started_name TEXT NOT NULL,
        started_at  DOUBLE PRECISION NOT NULL,
        ended_at    DOUBLE PRECISION,
        interrupted BOOLEAN NOT NULL DEFAULT false,
        state       TEXT NOT NULL,     -- running, ended, rendered, posted, failed (bridge.artefacts)
        attempts    INTEGER NOT NULL DEFAULT 0,
        tracks_deleted_at DOUBLE PRECISION
    )""",
    "CREATE UNIQUE INDEX bridge_capture_running ON bridge_capture (call, kind) WHERE ended_at IS NULL",
    """CREATE TABLE bridge_artefact (
        id        TEXT PRIMARY KEY,
        capture   TEXT NOT NULL REFERENCES bridge_capture (id) ON DELETE CASCADE,
        name      TEXT NOT NULL,
        mime_type TEXT NOT NULL,
        size      BIGINT NOT NULL,     -- bytes, unsealed
        path      TEXT NOT NULL,       -- of the sealed file, below the artefact store
        details   TEXT NOT NULL        -- JSON: width, height, duration, thumbnail
    )""",
    """CREATE TABLE bridge_post (
        key        TEXT PRIMARY KEY,   -- also the transaction id's seed: the same post is never sent twice
        seq        INTEGER NOT NULL,   -- order within a call
        call       TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
        capture    TEXT REFERENCES bridge_capture (id) ON DELETE CASCADE,
        kind       TEXT NOT NULL,      -- root, text, file
        content    TEXT NOT NULL,      -- JSON
        created_at DOUBLE PRECISION NOT NULL,
        event_id   TEXT,               -- set once the homeserver acknowledged it
        refused    TEXT                -- code of a refusal that trying again does not change
    )""",
)


async def _version_1(connection: Connection, _scheme: Scheme) -> None:
    for statement in _TABLES:
        await connection.execute(statement)


async def _version_2(connection: Connection, _scheme: Scheme) -> None:
    """Calls and sessions from before were all to the server, and sessions for one meeting opened by OpenID."""
    await connection.execute("ALTER TABLE bridge_call ADD COLUMN mode TEXT NOT NULL DEFAULT 'server'")
    await connection.execute("ALTER TABLE bridge_session ADD COLUMN proof TEXT NOT NULL DEFAULT 'link'")
    await connection.execute("UPDATE bridge_session SET proof = 'openid' WHERE meeting IS NOT NULL")


_VERSION_3 = (
    # Of answers that somebody gave; null where the answer followed from the call.
    "ALTER TABLE bridge_consent ADD COLUMN said_at DOUBLE PRECISION",
    "ALTER TABLE bridge_consent ADD COLUMN event_id TEXT",  # of Matrix; empty: by the call page
    "ALTER TABLE bridge_consent ADD COLUMN device_id TEXT",  # whose keys encrypted that event
    "ALTER TABLE bridge_consent ADD COLUMN fingerprint TEXT",  # of that device: its Ed25519 key
    "ALTER TABLE bridge_consent ADD COLUMN device_trust TEXT",  # signed, unsigned, no_identity
)


async def _version_3(connection: Connection, _scheme: Scheme) -> None:
    for statement in _VERSION_3:
        await connection.execute(statement)


async def _version_4(connection: Connection, _scheme: Scheme) -> None:
    """False for a connection that may be a client's trial, and nobody's coming (bridge.call_store)."""
    await connection.execute("ALTER TABLE bridge_participant ADD COLUMN counts BOOLEAN NOT NULL DEFAULT true")


_VERSION_5 = (
    """CREATE TABLE bridge_removal (
        call      TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
        person    TEXT NOT NULL,
        kind      TEXT NOT NULL,
        until     DOUBLE PRECISION NOT NULL,  -- nothing of theirs from before may be in what is made of the call
        how       TEXT NOT NULL,              -- page, command, event
        said_at   DOUBLE PRECISION NOT NULL,
        event_id  TEXT NOT NULL,              -- of Matrix; empty: by the call page
        device_id TEXT NOT NULL,
        PRIMARY KEY (call, person, kind, until)
    )""",
    "ALTER TABLE bridge_capture ADD COLUMN revision INTEGER NOT NULL DEFAULT 1",  # 2: made anew without somebody
    "ALTER TABLE bridge_post ADD COLUMN withdrawn BOOLEAN NOT NULL DEFAULT false",  # must not be in the room
    "ALTER TABLE bridge_post ADD COLUMN taken_back BOOLEAN NOT NULL DEFAULT false",  # and is not there any more
)


async def _version_5(connection: Connection, _scheme: Scheme) -> None:
    for statement in _VERSION_5:
        await connection.execute(statement)


async def _version_6(connection: Connection, _scheme: Scheme) -> None:
    """The leaves that clients delegate (bridge.leaves). `delay_id` is a secret: with it the event can be sent."""
    await connection.execute(
        """CREATE TABLE bridge_leave (
            meeting    TEXT NOT NULL REFERENCES bridge_meeting (id) ON DELETE CASCADE,
            identity   TEXT NOT NULL,
            person     TEXT NOT NULL,
            base_url   TEXT NOT NULL,              -- of the client API of the person's homeserver
            delay_id   TEXT NOT NULL,
            timeout    DOUBLE PRECISION NOT NULL,  -- seconds
            state      TEXT NOT NULL,              -- waiting, connected, away, leaving
            due_at     DOUBLE PRECISION NOT NULL,
            put_off_at DOUBLE PRECISION NOT NULL,
            attempts   INTEGER NOT NULL,
            PRIMARY KEY (meeting, identity)
        )"""
    )


async def _version_7(connection: Connection, _scheme: Scheme) -> None:
    """No reference to the capture: who is not reached is noted from before its row is there."""
    await connection.execute(
        """CREATE TABLE bridge_unreached (
            capture TEXT NOT NULL,
            person  TEXT NOT NULL,
            name    TEXT NOT NULL,
            PRIMARY KEY (capture, person)
        )"""
    )


async def _version_8(connection: Connection, _scheme: Scheme) -> None:
    """Whom moderators put out of a call, until it ends (bridge.moderation)."""
    await connection.execute(
        """CREATE TABLE bridge_exclusion (
            call        TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
            person      TEXT NOT NULL,
            excluded_by TEXT NOT NULL,
            at          DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (call, person)
        )"""
    )


_RINGING = (
    """CREATE TABLE bridge_ring_room (
        room_id TEXT PRIMARY KEY,
        policy  TEXT,                  -- off, notify, ring; null: as the settings say
        quiet   TEXT                   -- 20:00-07:30, or off; null: as the settings say
    )""",
    """CREATE TABLE bridge_ring (
        event_id TEXT PRIMARY KEY,     -- the notification: of the bot, or of somebody's client
        room_id  TEXT NOT NULL,
        caller   TEXT NOT NULL,
        policy   TEXT NOT NULL,
        at       DOUBLE PRECISION NOT NULL
    )""",
    "CREATE INDEX bridge_ring_room_at ON bridge_ring (room_id, at)",
    """CREATE TABLE bridge_ring_decline (
        call   TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
        person TEXT NOT NULL,
        PRIMARY KEY (call, person)
    )""",
)


async def _version_9(connection: Connection, _scheme: Scheme) -> None:
    for statement in _RINGING:
        await connection.execute(statement)


_VERSION_10 = (
    "ALTER TABLE bridge_capture ADD COLUMN track TEXT NOT NULL DEFAULT ''",  # empty: everybody's tracks
    "ALTER TABLE bridge_capture ADD COLUMN track_of TEXT NOT NULL DEFAULT ''",
    # No reference to the capture, which begins after it is stored that somebody asked.
    """CREATE TABLE bridge_egress (
        id         TEXT PRIMARY KEY,
        call       TEXT NOT NULL REFERENCES bridge_call (id) ON DELETE CASCADE,
        capture    TEXT NOT NULL UNIQUE,
        room_sid   TEXT NOT NULL,      -- of LiveKit
        track      TEXT NOT NULL,
        request    TEXT NOT NULL,      -- as it was asked, base64 of a message
        state      TEXT NOT NULL,      -- the last one that webhooks were told (media.relay.seams.EgressState)
        asked_at   DOUBLE PRECISION NOT NULL,
        started_at DOUBLE PRECISION,   -- when the first track was read
        updated_at DOUBLE PRECISION NOT NULL,
        ended_at   DOUBLE PRECISION,
        error      TEXT NOT NULL
    )""",
    "CREATE INDEX bridge_egress_call ON bridge_egress (call)",
)


async def _version_10(connection: Connection, _scheme: Scheme) -> None:
    for statement in _VERSION_10:
        await connection.execute(statement)


upgrade_table.register(_version_1, description="Meetings, calls, consents, captures, artefacts and posts")
upgrade_table.register(_version_2, description="The encryption of a call, and how a session was proved")
upgrade_table.register(_version_3, description="By which event and device a consent was given")
upgrade_table.register(_version_4, description="Connections that are nobody's coming yet")
upgrade_table.register(_version_5, description="What people have asked to be taken out")
upgrade_table.register(_version_6, description="Leaves that clients delegate")
upgrade_table.register(_version_7, description="People in a call whose media go to another relay")
upgrade_table.register(_version_8, description="Removals from calls by moderators")
upgrade_table.register(_version_9, description="Ringing: what rooms want, notifications, declines")
upgrade_table.register(_version_10, description="Recordings asked for with an API key, and of single tracks")
