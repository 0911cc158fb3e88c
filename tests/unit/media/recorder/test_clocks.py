"""RTP clocks on one time: jitter, drift, wall clocks that lie, clocks that stand still."""

import random

import numpy as np
import pytest

from media.recorder.clocks import ClockSamples, envelope, fit_clocks

RATE = 90_000
NTP = 3_900_000_000.0


class Sender:
    """One SSRC: what it sends at true time `t`, and what of it arrives."""

    def __init__(self, seed, *, rate=RATE, offset=12_345_678, ppm=0.0, delay=0.03, jitter=0.008):
        self.random = random.Random(seed)
        self.samples = ClockSamples(rate)
        self.offset, self.pace, self.delay, self.jitter = offset, 1 + ppm * 1e-6, delay, jitter
        self.stood = 0.0  # seconds that the RTP clock stood still

    def timestamp(self, t):
        return round(self.offset + (t - self.stood) * self.pace * self.samples.clock_rate)

    def arrival(self, t, extra=0.0):
        return t + self.delay + extra + self.random.expovariate(1 / self.jitter)

    def send(self, start, end, *, step=0.02, extra=lambda _t: 0.0):
        for t in np.arange(start, end, step):
            self.samples.packet(self.arrival(t, extra(t)), self.timestamp(t))

    def report(self, t, wall):
        self.samples.report(self.arrival(t), NTP + wall + t * self.pace, self.timestamp(t))


def error(clock, sender, t):
    """How far from the truth, seconds; the shortest delay is no error, nobody can see it."""
    return clock.time(sender.timestamp(t), sender.arrival(t)) - t - sender.delay


def fit(*senders):
    clocks = fit_clocks({number: sender.samples for number, sender in enumerate(senders)})
    return [clocks[number] for number in range(len(senders))]


@pytest.mark.parametrize("ppm", [0, 100, -100])
def test_jitter_and_drift_cost_a_few_milliseconds(ppm):
    sender = Sender(1, ppm=ppm)
    sender.send(0, 600)
    (clock,) = fit(sender)
    assert max(abs(error(clock, sender, t)) for t in np.arange(1, 599, 7.3)) < 0.004


def test_a_traffic_jam_does_not_move_what_was_said_in_it():
    sender = Sender(2)
    sender.send(0, 120, extra=lambda t: 0.4 if 40 < t < 70 else 0.0)
    (clock,) = fit(sender)
    assert max(abs(error(clock, sender, t)) for t in (30, 45, 55, 65, 80)) < 0.008


def test_a_call_that_begins_in_a_traffic_jam_is_put_right():
    sender = Sender(3)
    sender.send(0, 120, extra=lambda t: max(0.0, 0.6 - t / 10))
    (clock,) = fit(sender)
    assert abs(error(clock, sender, 0.5)) < 0.01


def test_an_rtp_clock_that_stands_still_during_mute_goes_on_in_a_new_piece():
    sender = Sender(4)
    sender.send(0, 20)
    sender.stood = 7.0
    sender.send(27, 60)
    (clock,) = fit(sender)
    assert len(clock.pieces) == 2
    assert max(abs(error(clock, sender, t)) for t in (27.0, 30, 50)) < 0.005
    sender.stood = 0.0
    assert max(abs(error(clock, sender, t)) for t in (1, 10, 19.9)) < 0.005


def test_a_short_stop_of_the_rtp_clock_is_seen_too():
    sender = Sender(5)
    sender.send(0, 20)
    sender.stood = 0.4
    sender.send(21.4, 60)
    (clock,) = fit(sender)
    assert abs(error(clock, sender, 30)) < 0.005


def test_an_rtp_clock_that_jumps_forwards_is_followed():
    sender = Sender(6)
    sender.send(0, 20)
    sender.stood = -3600.0
    sender.send(20, 40)
    (clock,) = fit(sender)
    assert abs(error(clock, sender, 30)) < 0.005


def lips(video, audio, until):
    """The largest difference between picture and sound of the same instant."""
    video_clock, audio_clock = fit(video, audio)
    return max(
        abs(
            video_clock.time(video.timestamp(t), video.arrival(t))
            - audio_clock.time(audio.timestamp(t), audio.arrival(t))
        )
        for t in np.arange(2, until, 3.7)
    )


def pair(*, ppm=50):
    """A camera whose encoder holds pictures for 120 ms longer than sound, and the microphone."""
    return Sender(7, ppm=ppm, delay=0.15), Sender(8, rate=48_000, offset=99, ppm=ppm)


def test_sender_reports_put_lips_and_voice_together():
    video, audio = pair()
    for sender in (video, audio):
        sender.send(0, 60)
        for t in range(1, 60, 5):
            sender.report(t + 0.3 * (sender is video), wall=-7.7)
    assert lips(video, audio, 59) < 0.005


def test_without_reports_what_arrival_says_is_used():
    video, audio = pair()
    video.send(0, 60)
    audio.send(0, 60)
    assert lips(video, audio, 59) == pytest.approx(0.12, abs=0.01)


def test_a_wall_clock_that_is_set_during_the_call_moves_nothing():
    video, audio = pair()
    for sender in (video, audio):
        sender.send(0, 120)
        for t in range(1, 120, 4):
            at = t + 0.5 * (sender is video)
            sender.report(at, wall=0.0 if at < 61.2 else 3600.0)
    assert lips(video, audio, 119) < 0.01


def test_reports_that_make_no_sense_are_left_out():
    video, audio = pair()
    for sender, wall in ((video, 0.0), (audio, 55.0)):
        sender.send(0, 60)
        for t in range(1, 60, 5):
            sender.report(t, wall=wall)
    assert lips(video, audio, 59) == pytest.approx(0.12, abs=0.01)


def test_the_envelope_is_below_and_no_steeper_than_crystals_drift():
    media = np.arange(100.0)
    delay = np.random.default_rng(1).exponential(0.05, 100) + media * 1e-4
    lowest = envelope(media, delay)
    assert (lowest <= delay).all()
    assert np.abs(np.diff(lowest)).max() <= 250e-6 + 1e-12


def test_the_inverse_of_a_clock_is_exact():
    sender = Sender(9, ppm=100)
    sender.send(0, 60)
    piece = fit(sender)[0].pieces[0]
    for media in np.linspace(piece.media[0], piece.media[-1], 50):
        assert piece.media_at(piece.time(float(media))) == pytest.approx(media, abs=1e-9)


def test_what_is_kept_grows_with_seconds_and_not_with_packets():
    sender = Sender(10)
    sender.send(0, 30, step=0.001)
    assert len(sender.samples.delay) <= 32
