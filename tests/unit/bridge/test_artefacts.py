"""From an ended capture to files in the room, whatever happens in between."""

from __future__ import annotations

from bridge.jobs import WorkerDiedError
from palabre.base.errors import CallerError
from tests.support.bridge_fakes import ALICE, BOB, bridge_settings
from tests.support.bridge_world import World


async def record(world: World) -> None:
    await world.join(ALICE)
    await world.join(BOB)
    await world.command("record")
    world.clock.advance(65)
    await world.command("stop")


async def test_the_files_follow_a_readable_message_in_the_calls_thread(bridge_world: World) -> None:
    await record(bridge_world)
    await bridge_world.until_states("posted")
    sent = list(bridge_world.matrix.sent.values())
    text, file, receipt = sent[-3:]
    assert text["body"].splitlines()[:2] == [
        "Recording of the call, 1 min. Present: Alice, Bob.",
        "Not recorded, because they did not agree: Bob.",
    ]
    assert text["body"].endswith("Alice: Good morning.")
    assert text["thread"] == file["thread"] == receipt["thread"]
    assert file["thread"] is not None
    assert bridge_world.matrix.files[file["post"].name] == b"film"
    assert receipt["post"].name in text["body"]
    assert file["post"].name.startswith("Budget 20")


async def test_raw_tracks_are_deleted_once_everything_is_acknowledged_and_not_before(bridge_world: World) -> None:
    bridge_world.matrix.refuse["send_file"] = RuntimeError("no answer")  # type: ignore[assignment]
    await record(bridge_world)
    await bridge_world.until_states("rendered")
    folders = bridge_world.service._recordings.folders
    assert len(folders.capture_ids()) == 1
    bridge_world.matrix.refuse.clear()
    await bridge_world.restart()
    await bridge_world.until_states("posted")
    assert len(bridge_world.matrix.files) == 2  # the film and the receipt
    assert len(folders.capture_ids()) == 1  # the call goes on: people can still have themselves taken out
    (room,) = bridge_world.relay.state
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    bridge_world.clock.advance(3500)
    await bridge_world.service._recordings.artefacts._clean()
    assert len(folders.capture_ids()) == 1
    bridge_world.clock.advance(101)
    await bridge_world.service._recordings.artefacts._clean()
    assert folders.capture_ids() == []


async def test_where_nobody_can_be_taken_out_afterwards_raw_tracks_go_with_the_post(bridge_world: World) -> None:
    bridge_world.settings = bridge_settings(bridge_world.folder, forget_seconds=0)
    await bridge_world.restart()
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    bridge_world.relay.finish(room)
    await bridge_world.settled()
    await bridge_world.until_states("posted")
    assert bridge_world.service._recordings.folders.capture_ids() == []


async def test_a_worker_that_dies_is_tried_again_and_given_up_with_one_sentence(bridge_world: World) -> None:
    bridge_world.worker_error = WorkerDiedError("ended with -9")
    await record(bridge_world)
    await bridge_world.until_states("failed")
    assert len(bridge_world.jobs) == 4
    await bridge_world.until(lambda: "reference" in bridge_world.matrix.texts()[-1])
    assert len(bridge_world.service._recordings.folders.capture_ids()) == 1


async def test_a_worker_that_died_with_the_service_goes_on_after_the_restart(bridge_world: World) -> None:
    bridge_world.worker_error = WorkerDiedError("ended with -9")
    await record(bridge_world)
    await bridge_world.until(lambda: bridge_world.jobs)
    bridge_world.worker_error = None
    await bridge_world.restart()
    await bridge_world.until_states("posted")


async def test_when_nobody_was_captured_the_room_reads_that_and_nothing_is_kept(bridge_world: World) -> None:
    bridge_world.worker_error = CallerError("recording_empty", "nobody")
    await record(bridge_world)
    await bridge_world.until_states("posted")
    await bridge_world.until(lambda: "Nothing was recorded" in bridge_world.matrix.texts()[-1])
    assert bridge_world.service._recordings.folders.capture_ids() == []


async def test_without_a_speech_model_the_room_is_told_and_the_tracks_are_kept_for_a_week(bridge_world: World) -> None:
    bridge_world.worker_error = CallerError("models_missing", "no model")
    await bridge_world.join(ALICE)
    await bridge_world.command("transcribe")
    await bridge_world.command("stop")
    await bridge_world.until_states("failed")
    await bridge_world.until(lambda: "speech model" in bridge_world.matrix.texts()[-1])
    assert len(bridge_world.service._recordings.folders.capture_ids()) == 1
    bridge_world.clock.advance(8 * 86_400)
    await bridge_world.restart()
    await bridge_world.until(lambda: bridge_world.service._recordings.folders.capture_ids() == [])


async def test_a_file_that_the_homeserver_refuses_for_good_is_said_and_kept(bridge_world: World) -> None:
    bridge_world.matrix.refuse["send_file"] = CallerError("file_too_large", "…", limit=10)
    await record(bridge_world)
    await bridge_world.until_states("failed")
    await bridge_world.until(lambda: "larger than this homeserver takes" in bridge_world.matrix.texts()[-1])
    assert len(bridge_world.service._recordings.folders.capture_ids()) == 1


async def test_what_failed_is_tried_again_after_a_restart_and_said_only_once(bridge_world: World) -> None:
    bridge_world.worker_error = CallerError("models_missing", "no model")
    await record(bridge_world)
    await bridge_world.until_states("failed")
    await bridge_world.restart()
    await bridge_world.until(lambda: len(bridge_world.jobs) == 2)
    await bridge_world.until_states("failed")
    bridge_world.worker_error = None
    await bridge_world.restart()
    await bridge_world.until_states("posted")
    assert sum("no speech model" in text for text in bridge_world.matrix.texts()) == 1
    assert len(bridge_world.matrix.files) == 2


async def test_a_folder_that_a_crash_kept_out_of_the_database_is_removed(bridge_world: World) -> None:
    bridge_world.service._recordings.folders.create_tracks_key("orphan")
    await bridge_world.restart()
    await bridge_world.until(lambda: bridge_world.service._recordings.folders.capture_ids() == [])


async def test_a_recording_that_a_crash_ended_before_its_folder_was_made_is_said_to_be_empty(
    bridge_world: World,
) -> None:
    room, _ = await bridge_world.join(ALICE)
    await bridge_world.command("record")
    (capture,) = bridge_world.files
    bridge_world.service._recordings.folders.delete_tracks(capture)
    await bridge_world.restart()
    bridge_world.relay.finish(room)  # nobody came back
    await bridge_world.until_states("posted")
    assert bridge_world.jobs == []


async def test_what_was_said_stands_in_no_table(bridge_world: World) -> None:
    await bridge_world.join(ALICE)
    await bridge_world.command("transcribe")
    bridge_world.matrix.refuse["send_text"] = RuntimeError("the homeserver is away")  # type: ignore[assignment]
    await bridge_world.command("stop")
    await bridge_world.until_states("rendered")
    rows = await bridge_world.database.fetch("SELECT content FROM bridge_post")
    assert rows
    assert not any("Good morning" in row["content"] for row in rows)
    del bridge_world.matrix.refuse["send_text"]
    await bridge_world.restart()
    await bridge_world.until_states("posted")
    assert any("Good morning" in text for text in bridge_world.matrix.texts())
