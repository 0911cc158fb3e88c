"""What a room does with what its subscribers' lines carry."""

from __future__ import annotations

from livekit.protocol import models, rtc

from media.relay.measures import Measures
from media.relay.plane.api import Delivery
from media.relay.subscriptions import OFF
from tests.support.relay_fakes import FakeClient, World

TICK = 0.05


class Meeting:
    """Alice and Carol publish, Bob watches over a line whose feedback the test makes up."""

    def __init__(self) -> None:
        self.world = World(timeouts={"dynacast_pause": 0.0})
        self.alice, self.carol, self.bob = (self.world.join(name) for name in ("alice", "carol", "bob"))
        self.sids = [person.publish() for person in (self.alice, self.carol)]
        self.room = self.world.rooms.get("room")
        self.sent = 0.0

    def tracks(self) -> list[int]:
        subscriptions = self.bob.connection.subscriptions
        return [self.world.plane.layers[subscriptions[sid].down] for sid in self.sids]

    def seconds(self, count: int, *, arriving: float, queue: float = 0.0) -> None:
        """`arriving` in bit/s; `queue` in seconds by which the delay grows in each second."""
        session = self.bob.connection.subscriber.transport.session
        rates = {
            (subscription.track.number, 0): 1_000_000
            for person in (self.alice, self.carol, self.bob)
            for subscription in person.connection.subscriptions.values()
        }
        for _ in range(count):
            self.room.look(Measures(layer_rate=rates), self.world.clock.monotonic())
            for _ in range(20):
                self.world.clock.advance(TICK)
                self.sent += TICK
                octets = int(arriving * TICK / 8)
                told = [Delivery(session, self.sent, self.sent * (1 + queue), octets, max(1, octets // 1000), 0)]
                self.room.tick({session: told} if octets else {}, self.world.clock.monotonic())


def states(client: FakeClient) -> list[tuple[str, int]]:
    return [
        (state.track_sid, state.state) for update in client.got("stream_state_update") for state in update.stream_states
    ]


def test_what_a_narrow_line_does_not_carry_is_paused_and_its_viewer_is_told() -> None:
    meeting = Meeting()
    meeting.seconds(2, arriving=2_000_000)
    assert meeting.tracks() == [0, 0]
    meeting.seconds(3, arriving=1_600_000, queue=0.2)
    assert meeting.tracks() == [0, OFF]
    assert states(meeting.bob) == [(meeting.sids[1], rtc.PAUSED)]
    assert states(meeting.carol) == []


def test_when_the_line_is_wide_again_what_was_paused_goes_on_and_its_viewer_is_told() -> None:
    meeting = Meeting()
    meeting.seconds(2, arriving=2_000_000)
    meeting.seconds(3, arriving=1_600_000, queue=0.2)
    meeting.seconds(8, arriving=4_000_000)
    assert meeting.tracks() == [0, 0]
    assert states(meeting.bob)[-1] == (meeting.sids[1], rtc.ACTIVE)


def test_who_speaks_is_not_the_one_who_is_paused() -> None:
    meeting = Meeting()
    meeting.room.distribution.speak([meeting.carol.connection.participant.sid])
    meeting.seconds(2, arriving=2_000_000)
    meeting.seconds(3, arriving=1_600_000, queue=0.2)
    assert meeting.tracks() == [OFF, 0]


def test_a_publisher_need_not_encode_what_nobody_s_line_carries() -> None:
    meeting = Meeting()
    meeting.alice.leave()
    meeting.carol.leave()
    other = meeting.world.join("dora")
    meeting.sids = [other.publish(), other.publish()]
    meeting.seconds(2, arriving=2_000_000)
    meeting.seconds(3, arriving=1_600_000, queue=0.2)
    update = other.got("subscribed_quality_update")[-1]
    assert update.track_sid == meeting.sids[1]
    assert not any(quality.enabled for quality in update.subscribed_qualities)


def test_a_narrow_line_is_no_excellent_connection() -> None:
    meeting = Meeting()
    meeting.seconds(2, arriving=2_000_000)
    meeting.seconds(3, arriving=1_600_000, queue=0.2)
    meeting.room.look_quality(Measures())
    rated = {info.participant_sid: info.quality for info in meeting.alice.got("connection_quality")[-1].updates}
    assert rated[meeting.bob.connection.participant.sid] == models.GOOD
    assert rated[meeting.alice.connection.participant.sid] == models.EXCELLENT
