"""Tracks that come encrypted end to end: what reaches their journals, what doesn't, and what is said of it."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.recorder.depacketise import superframe
from media.recorder.encrypted import GAP_MATTERS, EncryptedTrack
from media.recorder.frames import TrackReader
from media.recorder.reader import open_capture
from palabre.base.sealed import new_key
from tests.support.media_e2ee import ring_of, seal_frame
from tests.support.synthetic_meeting import Guest, Meeting, record

KEY = bytes(range(16))
SSRC = 7
DELTA, KEYFRAME = b"\x11delta", b"\x10" + bytes(20)


@dataclass
class Sink:
    frames: list = field(default_factory=list)
    layers: list = field(default_factory=list)
    events: list = field(default_factory=list)

    def layer(self, *facts):
        self.layers.append(facts)

    def frame(self, frame):
        self.frames.append(frame)

    def sender_report(self, *facts):
        self.events.append(("report", *facts))

    def muted(self, muted, arrival):
        self.events.append(("muted", muted))

    def closed(self, arrival):
        self.events.append(("closed",))


class Track:
    """One track with one layer, fed packet by packet."""

    def __init__(self, mime_type="video/VP8", ring=None):
        self.sink, self.ring = Sink(), ring
        self.asked, self.gaps = 0, []
        self.track = EncryptedTrack(
            self.sink, lambda: self.ring, injected=b"palabre", want_key_frame=self._ask, gap=self._gap
        )
        self.track.layer(SSRC, "h", 96, mime_type, 90_000)
        self.sequence, self.time = 65_530, 10.0

    def _ask(self):
        self.asked += 1

    def _gap(self, start, end):
        self.gaps.append((start, end))

    def send(self, *payloads, after=0.4):
        """One frame. Frames are further apart than the wait for the first one's order."""
        self.time += after
        for number, payload in enumerate(payloads):
            head = bytes([0x80, 96 | 0x80 * (number == len(payloads) - 1)]) + (self.sequence & 0xFFFF).to_bytes(
                2, "big"
            )
            self.sequence += 1
            stamp = (round(self.time * 90_000) & 0xFFFFFFFF).to_bytes(4, "big")
            self.track.rtp(SSRC, head + stamp + SSRC.to_bytes(4, "big") + payload, self.time)

    def vp8(self, clear, key=KEY, **options):
        self.send(b"\x10" + seal_frame("vp8", clear, key, **options))

    @property
    def read(self):
        return [frame.data for frame in self.sink.frames]


def test_a_meeting_that_was_encrypted_leaves_the_frames_that_it_would_have_left_in_the_clear(tmp_path):
    guests = (Guest("ana", "Ana", 1, 600, layers=("q", "h")), Guest("bo", "Bo", 2, 1000, muted=((1.0, 2.0),)))
    meeting = Meeting(guests, 4.0, width=160, height=90, fps=10)
    found = []
    for folder, made in (("clear", meeting), ("sealed", replace(meeting, media_key=KEY))):
        key = new_key()
        recorded = record(tmp_path / folder, key, made)
        capture = open_capture(tmp_path / folder, key)
        found.append(
            {
                (track.track_sid, frame.ssrc, frame.timestamp): (frame.data, frame.key)
                for track in capture.tracks
                for frame in TrackReader(capture, track, recorded.zero)
                if frame.complete
            }
        )
    clear, decrypted = found
    both = clear.keys() & decrypted.keys()
    assert len(both) > 0.9 * max(len(clear), len(decrypted))  # other packets get lost: there are more of them
    assert {place: clear[place] for place in both} == {place: decrypted[place] for place in both}


def test_nothing_is_kept_before_the_key_comes_and_a_key_frame_is_asked_for_then():
    track = Track()
    for _ in range(12):
        track.vp8(DELTA)
    assert track.read == []
    track.ring = ring_of(KEY)
    track.vp8(DELTA)
    track.vp8(DELTA)
    track.vp8(KEYFRAME)
    track.track.closed(track.time)
    assert track.read[-1] == KEYFRAME
    assert track.sink.frames[0].after_gap, "a decoder waits for the key frame"
    assert not any(frame.after_gap for frame in track.sink.frames[1:])
    assert track.asked == 1
    ((start, end),) = track.gaps
    assert end - start > GAP_MATTERS
    assert track.track.counts["missing_key"] > 5


def test_the_second_in_which_keys_change_is_not_worth_a_word():
    track = Track(ring=ring_of(KEY))
    track.vp8(KEYFRAME)
    for _ in range(5):
        track.vp8(DELTA, bytes(16), index=1)
    assert track.ring.put(1, bytes(16), 2.0)
    track.vp8(KEYFRAME, bytes(16), index=1)
    track.track.closed(track.time)
    assert track.gaps == []
    assert track.asked == 0
    assert [frame.after_gap for frame in track.sink.frames] == [False, True]


def test_a_gap_that_lasts_to_the_end_is_told_at_the_end():
    track = Track("audio/opus")
    for _ in range(20):
        track.send(seal_frame("opus", b"\x78said", KEY))
    track.track.closed(track.time)
    assert track.sink.frames == []
    assert len(track.gaps) == 1
    assert track.sink.events == [("closed",)]


def test_a_frame_with_a_lost_packet_is_no_gap_but_is_left_out():
    track = Track(ring=ring_of(KEY))
    track.vp8(KEYFRAME)
    sealed = seal_frame("vp8", DELTA * 30, KEY)
    track.sequence += 1  # the packet between the two is lost
    track.send(b"\x10" + sealed[:80], b"\x00" + sealed[80:])
    track.sequence += 1
    track.send(b"\x00" + sealed[80:])
    for _ in range(6):
        track.vp8(DELTA)
    track.track.closed(track.time)
    assert track.read[0] == KEYFRAME
    assert track.track.counts["incomplete"] == 1
    assert track.gaps == []
    assert track.asked == 1


def test_the_layers_of_a_vp9_picture_are_decrypted_one_by_one():
    track = Track("video/VP9", ring_of(KEY))
    layers = [b"base layer", b"upper layer, larger"]
    heads = [bytes([0x80 | 0x20 | 0x08 | 0x04, 5, spatial << 1, 0]) for spatial in range(2)]
    track.send(*[head + seal_frame("vp9", layer, KEY) for head, layer in zip(heads, layers, strict=True)])
    track.track.closed(track.time)
    (frame,) = track.sink.frames
    assert frame.data == superframe(layers)
    assert frame.layers == tuple(map(len, layers))


def test_what_a_server_would_have_made_is_dropped():
    track = Track("audio/opus", ring_of(KEY))
    track.send(b"\xf8\xff\xfepalabre")
    track.track.closed(track.time)
    assert track.read == []
    assert track.track.counts["injected"] == 1


def test_nothing_follows_the_end():
    track = Track(ring=ring_of(KEY))
    track.track.closed(track.time)
    track.vp8(KEYFRAME)
    track.track.muted(True, track.time)
    track.track.closed(track.time)
    assert track.sink.events == [("closed",)]


@pytest.mark.parametrize("mime_type", ["audio/opus", "audio/red", "video/VP8", "video/VP9", "video/H264", "video/AV1"])
@given(packets=st.lists(st.tuples(st.binary(max_size=80), st.booleans(), st.integers(0, 3)), max_size=30))
def test_whatever_packets_hold_the_track_goes_on(mime_type, packets):
    track = Track(mime_type, ring_of(KEY))
    for payload, sealed, skipped in packets:
        track.sequence += skipped
        track.send(payload + (seal_frame("opus", b"\x78x", KEY) if sealed else b""), after=0.02)
    track.track.rtp(SSRC, b"", track.time)
    track.track.rtp(99, bytes(20), track.time)
    track.track.closed(track.time)
    assert track.sink.events[-1] == ("closed",)
