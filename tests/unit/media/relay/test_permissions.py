"""What grants allow, and how they shrink."""

from __future__ import annotations

from dataclasses import replace

import pytest
from livekit.protocol import models

from media.relay.permissions import as_message, check_join, check_visible, may_publish, narrowed, with_message
from media.relay.seams import Grants, TrackSource
from palabre.base.errors import CallerError

ALICE = Grants("key", "alice", room="r", room_join=True)


def test_a_join_needs_the_grant_a_room_and_an_identity() -> None:
    check_join(ALICE)
    for wrong in (
        replace(ALICE, room_join=False),
        replace(ALICE, room=""),
        replace(ALICE, room="x" * 257),
        replace(ALICE, identity=""),
        replace(ALICE, identity="x" * 257),
    ):
        with pytest.raises(CallerError):
            check_join(wrong)


def test_nobody_listens_unseen() -> None:
    check_visible(replace(ALICE, hidden=True, can_subscribe=False))
    with pytest.raises(CallerError) as refused:
        check_visible(replace(ALICE, hidden=True))
    assert refused.value.status == 403


def test_sources_limit_what_is_published() -> None:
    only_microphone = replace(ALICE, can_publish_sources=(TrackSource.MICROPHONE,))
    assert may_publish(ALICE, TrackSource.UNKNOWN)
    assert may_publish(only_microphone, TrackSource.MICROPHONE)
    assert not may_publish(only_microphone, TrackSource.CAMERA)
    assert not may_publish(only_microphone, TrackSource.UNKNOWN)
    assert not may_publish(replace(only_microphone, can_publish=False), TrackSource.MICROPHONE)


def test_permissions_survive_the_way_to_clients_and_back() -> None:
    grants = replace(ALICE, can_publish=False, can_publish_sources=(TrackSource.CAMERA,), can_update_own_metadata=True)
    assert with_message(ALICE, as_message(grants)) == grants


def test_nobody_is_hidden_or_shown_by_an_update() -> None:
    assert not with_message(ALICE, models.ParticipantPermission(hidden=True, can_subscribe=True)).hidden


def test_a_resume_gives_nothing_back_and_keeps_nothing_that_no_longer_holds() -> None:
    muted = replace(ALICE, can_publish=False)
    assert not narrowed(muted, ALICE).can_publish
    assert not narrowed(ALICE, muted).can_publish
    camera, both = (TrackSource.CAMERA,), (TrackSource.CAMERA, TrackSource.MICROPHONE)
    assert narrowed(replace(ALICE, can_publish_sources=both), replace(ALICE, can_publish_sources=camera)) == replace(
        ALICE, can_publish_sources=camera
    )
    assert narrowed(ALICE, replace(ALICE, can_publish_sources=camera)).can_publish_sources == camera
    disjoint = narrowed(
        replace(ALICE, can_publish_sources=camera), replace(ALICE, can_publish_sources=(TrackSource.MICROPHONE,))
    )
    assert not disjoint.can_publish
