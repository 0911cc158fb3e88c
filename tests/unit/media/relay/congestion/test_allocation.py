"""What a line is spent on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.relay.congestion.allocation import OFF, UP, Demand, Priority, allocate, rising, wanted_rate
from tests.support.simulated_line import RATES, camera


def test_everybody_is_seen_small_before_anybody_is_seen_large():
    people = [camera(down) for down in range(1, 4)]
    assert allocate(people, 3 * 150_000 * UP) == {1: 0, 2: 0, 3: 0}
    assert allocate(people, 3 * 150_000 * UP + 350_000 * UP) == {1: 1, 2: 0, 3: 0}
    assert allocate(people, 100_000_000) == {1: 2, 2: 2, 3: 2}


def test_screens_come_first_then_who_speaks_and_the_rest_is_paused():
    demands = [
        camera(1),
        camera(2, priority=Priority.SPEAKER),
        Demand(3, Priority.SCREEN, (900_000,)),
    ]
    assert allocate(demands, 900_000 * UP) == {1: OFF, 2: OFF, 3: 0}
    assert allocate(demands, 1_050_000 * UP + 1) == {1: OFF, 2: 0, 3: 0}


def test_a_layer_that_is_had_is_kept_on_a_rate_that_would_not_reach_for_it_anew():
    had, new = Demand(1, Priority.OTHER, RATES, 1), Demand(1, Priority.OTHER, RATES, 0)
    assert allocate([had], 500_000) == {1: 1}
    assert allocate([new], 500_000) == {1: 0}


def test_rates_that_nobody_knows_are_guessed_and_better_layers_never_cost_less():
    assert rising([0, 0, 0]) == (150_000, 500_000, 1_700_000)
    assert rising([400_000, 300_000]) == (400_000, 400_000)


demands = st.lists(
    st.builds(
        Demand,
        down=st.integers(),
        priority=st.sampled_from(Priority),
        rates=st.lists(st.integers(1, 5_000_000), min_size=1, max_size=3).map(rising),
        present=st.integers(OFF, 2),
    ),
    max_size=12,
    unique_by=lambda demand: demand.down,
)


@given(demands=demands, rate=st.integers(0, 30_000_000))
def test_what_is_given_out_fits_and_nothing_that_fits_is_left(demands, rate):
    layers = allocate(demands, rate)
    by_down = {demand.down: demand for demand in demands}
    spent = sum(by_down[down].cost(layer) for down, layer in layers.items() if layer != OFF)
    assert layers.keys() == by_down.keys()
    assert spent <= rate + 1
    for down, layer in layers.items():
        if layer + 1 < len(by_down[down].rates):
            more = by_down[down].cost(layer + 1) - (by_down[down].cost(layer) if layer != OFF else 0)
            assert spent + more > rate - 1


@given(demands=demands)
def test_with_what_is_wanted_and_a_margin_everybody_has_all(demands):
    layers = allocate(demands, wanted_rate(demands) * UP + 1)
    assert all(layers[demand.down] == len(demand.rates) - 1 for demand in demands)
