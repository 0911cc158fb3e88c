"""What everybody is told about one another: at once when it is quiet, gathered when many come, in the right order."""

from __future__ import annotations

from livekit.protocol import models, rtc

from media.relay.announcements import LONGEST, PER_MEMBER, Announcements
from media.relay.join import JoinRequest
from media.relay.participant import Participant
from media.relay.seams import Grants
from media.relay.settings import Limits
from media.relay.signal import Shared
from media.relay.tracks import announce
from tests.support.relay_fakes import FakeClient, World


class Reader:
    """A member that keeps what it is told: the identities of each message."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []
        self.last: dict[str, models.ParticipantInfo] = {}

    def send(self, response: rtc.SignalResponse | Shared) -> None:
        response = response.response if isinstance(response, Shared) else response
        self.told.append([info.identity for info in response.update.participants])
        self.last.update({info.identity: info for info in response.update.participants})


def somebody(identity: str) -> Participant:
    request = JoinRequest(single=True, client=models.ClientInfo())
    participant = Participant(Grants("key", identity, room="room", room_join=True), request, Limits(), 0.0)
    participant.state = models.ParticipantInfo.ACTIVE
    return participant


def publishing(identity: str) -> Participant:
    participant = somebody(identity)
    request = rtc.AddTrackRequest(cid="c", type=models.AUDIO, source=models.MICROPHONE)
    track = announce(request, number=1, publisher=identity, publisher_sid=participant.sid, now=0.0)
    track.announced = True
    participant.tracks[track.sid] = track
    participant.touch()
    return participant


def test_the_first_change_is_told_at_once_and_those_that_follow_it_closely_together() -> None:
    readers = {f"reader{number}": Reader() for number in range(100)}
    announcements = Announcements(readers)
    for number in range(10):
        announcements.tell(somebody(f"p{number}"), 5.0)
    announcements.tick(5.0 + 99 * PER_MEMBER)
    assert all(reader.told == [["p0"]] for reader in readers.values())
    announcements.tick(5.0 + 100 * PER_MEMBER)
    assert all(reader.told[1:] == [[f"p{number}" for number in range(1, 10)]] for reader in readers.values())
    announcements.tick(1000.0)
    assert len(readers["reader0"].told) == 2


def test_what_is_told_late_is_how_it_is_by_then() -> None:
    reader, changing = Reader(), somebody("changing")
    announcements = Announcements({"reader": reader})
    announcements.tell(somebody("first"), 0.0)
    for name in ("one", "two"):
        changing.update(name=name)
        announcements.tell(changing, 0.0)
    announcements.tick(LONGEST)
    assert reader.told == [["first"], ["changing"]]
    assert reader.last["changing"].name == "two"


def test_a_publisher_is_told_of_at_once_with_all_that_waited() -> None:
    reader = Reader()
    announcements = Announcements({"reader": reader})
    for participant in (somebody("first"), somebody("waits"), publishing("publisher")):
        announcements.tell(participant, 0.0)
    assert reader.told == [["first"], ["waits", "publisher"]]


def test_who_changes_learns_it_itself_at_once() -> None:
    own, reader = Reader(), Reader()
    announcements = Announcements({"own": own, "reader": reader})
    announcements.tell(somebody("first"), 0.0)
    announcements.tell(somebody("own"), 0.0)
    assert (own.told, reader.told) == ([["first"], ["own"]], [["first"]])


def test_what_somebody_says_comes_after_who_they_are() -> None:
    reader, speaking = Reader(), somebody("speaking")
    announcements = Announcements({"reader": reader})
    announcements.tell(somebody("first"), 0.0)
    announcements.tell(speaking, 0.0)
    announcements.before(somebody("another"), 0.0)
    assert reader.told == [["first"]]
    announcements.before(speaking, 0.0)
    assert reader.told == [["first"], ["speaking"]]


def test_a_hundred_joins_are_not_ten_thousand_messages() -> None:
    world = World()
    clients: list[FakeClient] = []
    for number in range(100):
        world.clock.advance(0.05)  # twenty a second
        world.rooms.get("room").tick({}, world.clock.monotonic()) if clients else None
        clients.append(world.join(f"p{number}", settle=False))
    world.settle()
    assert all(len(client.sees()) == 99 for client in clients)
    assert sum(len(client.got("update")) for client in clients) < 3_000


def test_a_leaving_publisher_is_one_message_and_its_tracks_are_gone_with_it() -> None:
    world = World()
    alice, bob = world.join("alice"), world.join("bob")
    alice.publish("audio")
    alice.publish("video")
    before = len(bob.got("update"))
    alice.leave()
    world.settle()
    (last,) = bob.got("update")[before:]
    assert [info.state for info in last.participants] == [models.ParticipantInfo.DISCONNECTED]
    assert bob.sees() == {}
    assert world.events[-3:] == [
        ("track_unpublished", "alice", "microphone"),
        ("track_unpublished", "alice", "camera"),
        ("participant_left", "alice", "CLIENT_INITIATED"),
    ]
