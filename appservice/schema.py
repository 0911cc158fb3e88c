"""The tables of the Matrix side: `matrix_*`, one upgrade table for the package.

The encryption library has tables of its own (`crypto_*`), which `appservice.crypto` brings up to date."""

from __future__ import annotations

from palabre.base.database import Connection, Scheme, UpgradeTable

upgrade_table = UpgradeTable(version_table_name="matrix_version", database_name="matrix")

# Times are seconds since the Unix epoch. JSON is text in ASCII, so that no character of an event upsets the database.
_TABLES = (
    """CREATE TABLE matrix_inbox (
        seq         {serial},           -- order in which the homeserver sent them
        event_id    TEXT NOT NULL UNIQUE,
        room_id     TEXT NOT NULL,
        event       TEXT NOT NULL,      -- JSON; emptied when settled
        status      TEXT NOT NULL,      -- appservice.inbox.Status
        session_id  TEXT NOT NULL DEFAULT '',  -- room key that a parked event waits for
        received_at DOUBLE PRECISION NOT NULL
    )""",
    "CREATE INDEX matrix_inbox_open ON matrix_inbox (status, seq) WHERE status <> 'settled'",
    """CREATE TABLE matrix_room (
        room_id TEXT PRIMARY KEY        -- the bot is joined, and matrix_state holds the room's state
    )""",
    """CREATE TABLE matrix_state (
        room_id    TEXT NOT NULL REFERENCES matrix_room (room_id) ON DELETE CASCADE,
        type       TEXT NOT NULL,
        state_key  TEXT NOT NULL,
        sender     TEXT NOT NULL,
        content    TEXT NOT NULL,       -- JSON
        membership TEXT NOT NULL DEFAULT '',  -- of m.room.member
        PRIMARY KEY (room_id, type, state_key)
    )""",
    "CREATE INDEX matrix_state_member ON matrix_state (state_key, membership) WHERE type = 'm.room.member'",
    """CREATE TABLE matrix_sent (
        key      TEXT PRIMARY KEY,      -- as the caller named it
        event_id TEXT NOT NULL,
        sent_at  DOUBLE PRECISION NOT NULL
    )""",
    """CREATE TABLE matrix_secret (
        name   TEXT PRIMARY KEY,
        sealed TEXT NOT NULL            -- appservice.vault
    )""",
)


async def _first(connection: Connection, scheme: Scheme) -> None:
    serial = "INTEGER PRIMARY KEY AUTOINCREMENT" if scheme == Scheme.SQLITE else "BIGSERIAL PRIMARY KEY"
    for statement in _TABLES:
        await connection.execute(statement.format(serial=serial))


async def _kept_types(connection: Connection, _scheme: Scheme) -> None:
    """`kept`: which types of state a room's rows hold, appservice.roomstore.KEPT_REVISION of that time."""
    await connection.execute("ALTER TABLE matrix_room ADD COLUMN kept INTEGER NOT NULL DEFAULT 1")


async def _rtc_members(connection: Connection, _scheme: Scheme) -> None:
    """Rooms are read anew for their state events, see appservice.roomstore.KEPT_REVISION."""
    await connection.execute(
        """CREATE TABLE matrix_rtc_member (
            room_id      TEXT NOT NULL REFERENCES matrix_room (room_id) ON DELETE CASCADE,
            type         TEXT NOT NULL,
            owner        TEXT NOT NULL,          -- of a sticky event: its sender; empty for state events
            key          TEXT NOT NULL,          -- state key, or sticky key
            sender       TEXT NOT NULL,
            device_id    TEXT NOT NULL,
            member_id    TEXT NOT NULL,
            identity     TEXT NOT NULL,          -- on the relay
            slot_id      TEXT NOT NULL,
            foci         TEXT NOT NULL,          -- JSON: service URLs
            oldest_focus BOOLEAN NOT NULL,       -- publishes where the oldest member does
            created_at   DOUBLE PRECISION NOT NULL,
            expires_at   DOUBLE PRECISION NOT NULL,
            event_id     TEXT NOT NULL,
            sent_at      DOUBLE PRECISION NOT NULL,
            is_left      BOOLEAN NOT NULL,       -- by a sticky event that older ones may still follow
            PRIMARY KEY (room_id, type, owner, key)
        )"""
    )
    await connection.execute("CREATE INDEX matrix_rtc_member_expiry ON matrix_rtc_member (expires_at)")


upgrade_table.register(_first, description="Inbox, room state, sent messages, secrets")
upgrade_table.register(_kept_types, description="Which types of room state are kept")


# Homeservers by name, in small letters. `revision` grows with every decision: the running service finds by it what the
# command line changed.
_HOMESERVERS = (
    """CREATE TABLE matrix_homeserver (
        name          TEXT PRIMARY KEY,
        own           BOOLEAN NOT NULL DEFAULT false,
        level         TEXT,              -- open, join, refuse; null: as the settings say
        listed        BOOLEAN NOT NULL DEFAULT false,  -- an admin added or allowed it
        note          TEXT NOT NULL DEFAULT '',
        address       TEXT NOT NULL DEFAULT '',
        fingerprint   TEXT NOT NULL DEFAULT '',
        authority     TEXT NOT NULL DEFAULT '',
        signing_key   TEXT NOT NULL DEFAULT '',
        first_seen    DOUBLE PRECISION NOT NULL,
        last_seen     DOUBLE PRECISION,
        decided_at    DOUBLE PRECISION,
        checked_at    DOUBLE PRECISION,
        failing_since DOUBLE PRECISION,
        observed      TEXT NOT NULL DEFAULT '{}',  -- JSON, appservice.federation.survey
        revision      BIGINT NOT NULL DEFAULT 0
    )""",
    "CREATE INDEX matrix_homeserver_revision ON matrix_homeserver (revision)",
    """CREATE TABLE matrix_confirmation (
        sender     TEXT PRIMARY KEY,     -- one command at a time waits for its code
        room_id    TEXT NOT NULL,
        command    TEXT NOT NULL,        -- JSON: the words of the command
        code_hash  TEXT NOT NULL,        -- keyed, over all of it: appservice.confirmations
        expires_at DOUBLE PRECISION NOT NULL,
        attempts   INTEGER NOT NULL DEFAULT 0
    )""",
)


async def _homeservers(connection: Connection, _scheme: Scheme) -> None:
    for statement in _HOMESERVERS:
        await connection.execute(statement)


upgrade_table.register(_homeservers, description="Homeservers, and codes that confirm what is decided about them")
upgrade_table.register(_rtc_members, description="Members of calls")
