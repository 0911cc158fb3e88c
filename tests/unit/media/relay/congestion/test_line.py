"""What subscribers get over lines of all kinds, in simulated time."""

from __future__ import annotations

import pytest

from media.relay.congestion.allocation import OFF, Priority
from media.relay.congestion.estimate import FIRST
from tests.support.simulated_line import RATES, Bottleneck, SimulatedLine, camera

WIDE = 10_000_000


def test_on_a_wide_line_everything_is_had_from_the_start_and_kept():
    simulated = SimulatedLine(Bottleneck({0: WIDE}))
    simulated.run(20)
    assert [layers[1] for layers in simulated.layers_since(0)] == [2]
    assert not simulated.line.narrow


def test_many_cameras_are_had_after_a_few_tries():
    people = [camera(down) for down in range(1, 5)]
    simulated = SimulatedLine(Bottleneck({0: WIDE}), people)
    simulated.run(6)
    assert sum(RATES[2] for _ in people) > FIRST
    assert set(simulated.line.layers.values()) == {2}


def test_in_a_large_room_nobody_is_paused_while_the_line_is_not_known_yet():
    people = [camera(down, best=0) for down in range(20)]
    simulated = SimulatedLine(Bottleneck({0: WIDE}), people)
    simulated.run(5)
    assert {layer for layers in simulated.layers_since(0) for layer in layers.values()} == {0}


@pytest.mark.parametrize(("rate", "layer"), [(120_000, OFF), (300_000, 0), (500_000, 0), (800_000, 1), (2_500_000, 2)])
def test_a_narrow_line_gets_what_it_carries_and_the_queue_drains(rate, layer):
    simulated = SimulatedLine(Bottleneck({0: rate}, queue=20_000))
    simulated.run(4)
    simulated.longest_queue = 0.0
    simulated.run(30)
    assert {layers[1] for layers in simulated.layers_since(4)} == {layer}
    assert simulated.longest_queue < 0.35, "tries may delay what people hear by a moment at most"


@pytest.mark.parametrize("delay", [0.005, 0.05, 0.15])
@pytest.mark.parametrize("squeeze", [300_000, 500_000])
@pytest.mark.parametrize("length", [7, 10.4, 11.1, 15.7])
def test_after_a_squeeze_the_best_layer_is_back_within_five_seconds(delay, squeeze, length):
    simulated = SimulatedLine(Bottleneck({0: WIDE, 5: squeeze, 5 + length: WIDE}, delay=delay))
    simulated.run(5 + length)
    assert simulated.line.layers == {1: 0}
    simulated.run(5 + length + 15)
    assert simulated.reached(1, 2, 5 + length) <= 4.0  # and a second for a key frame


def test_a_squeeze_is_noticed_before_the_queue_is_long():
    simulated = SimulatedLine(Bottleneck({0: WIDE, 5: 500_000}, queue=1e9))
    simulated.run(8)
    assert simulated.longest_queue < 1.5
    assert simulated.line.layers == {1: 0}


@pytest.mark.parametrize("loss", [0.02, 0.1, 0.25])
@pytest.mark.parametrize("seed", range(3))
def test_loss_that_does_not_come_from_the_rate_is_put_up_with(loss, seed):
    simulated = SimulatedLine(Bottleneck({0: WIDE}, loss=loss, seed=seed))
    simulated.run(10)
    assert {layers[1] for layers in simulated.layers_since(10)} == {2}
    simulated.run(40)
    assert {layers[1] for layers in simulated.layers_since(10)} == {2}


def test_loss_from_a_policer_without_a_queue_is_congestion():
    simulated = SimulatedLine(Bottleneck({0: WIDE, 5: 400_000, 15: WIDE}, queue=4_000))
    simulated.run(14)
    assert simulated.line.layers == {1: 0}


@pytest.mark.parametrize("jitter", [0.01, 0.03, 0.06])
def test_jitter_is_not_congestion(jitter):
    simulated = SimulatedLine(Bottleneck({0: WIDE}, jitter=jitter))
    simulated.run(30)
    lost = [time for time, layers in simulated.history if layers[1] != 2]
    assert len(lost) <= 1, "a layer is not given up for jitter"


def test_who_speaks_stays_large_when_not_all_can():
    people = [camera(1), camera(2, priority=Priority.SPEAKER), camera(3)]
    simulated = SimulatedLine(Bottleneck({0: 1_000_000}), people)
    simulated.run(15)
    assert simulated.line.layers == {1: 0, 2: 1, 3: 0}


def test_what_is_not_shown_is_not_tried_for():
    simulated = SimulatedLine(Bottleneck({0: WIDE}), [camera(best=0)])
    simulated.run(10)
    assert simulated.padding == 0


def test_a_client_that_does_not_want_pauses_has_none():
    simulated = SimulatedLine(Bottleneck({0: 120_000}), may_pause=False)
    simulated.run(15)
    assert simulated.line.layers == {1: 0}


def test_without_transport_cc_lasting_loss_lowers_the_rate_and_quiet_raises_it_again():
    line = SimulatedLine(Bottleneck({0: WIDE})).line
    line.demand([camera()])
    line.look(0.0)
    for second in range(1, 5):
        line.estimator.report(0.2, 1_700_000, 500_000, 1.0, float(second))
    line.demand([camera()])
    line.look(5.0)
    assert line.layers == {1: 1}
    for second in range(5, 40):
        line.estimator.report(0.0, 500_000, 700_000, 1.0, float(second))
    line.look(40.0)
    assert line.layers == {1: 2}


def test_without_transport_cc_loss_on_a_line_with_room_to_spare_is_not_congestion():
    line = SimulatedLine(Bottleneck({0: WIDE})).line
    for second in range(1, 20):
        line.estimator.report(0.2, 500_000, 5_000_000, 1.0, float(second))
    assert line.rate == FIRST
