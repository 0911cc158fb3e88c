"""Which layer is shown, and from where it is decoded."""

from array import array

from media.recorder.clocks import MediaClock
from media.recorder.index import LayerIndex
from media.recorder.layers import plan_layers
from media.recorder.streams import Layer


def layer(ssrc, rid, spans, keys):
    return LayerIndex(Layer(ssrc, rid, "vp8", 90_000), MediaClock(90_000, ()), spans, array("d", keys))


ALWAYS = ((0.0, 100.0),)


def test_the_best_layer_that_flows_is_shown():
    low = layer(1, "q", ALWAYS, [0.0, 40.0])
    high = layer(2, "h", ((0.0, 50.0), (60.0, 100.0)), [0.0, 60.0])
    plans = plan_layers((high, low), ALWAYS)
    assert plans[2].show == ((0.0, 50.0), (60.0, 100.0))
    assert plans[1].show == ((50.0, 60.0),)


def test_a_layer_is_decoded_from_the_key_frame_before_it_is_shown():
    low = layer(1, "q", ALWAYS, [0.0, 40.0])
    high = layer(2, "h", ((0.0, 50.0), (60.0, 100.0)), [0.0, 60.0])
    assert plan_layers((low, high), ALWAYS)[1].decode == ((40.0, 60.0),)


def test_nothing_is_decoded_for_a_track_that_is_not_on_screen():
    assert plan_layers((layer(1, "", ALWAYS, [0.0]),), ()) == {}


def test_a_better_layer_that_flickers_is_not_worth_a_change():
    low = layer(1, "q", ALWAYS, [0.0])
    high = layer(2, "h", ((10.0, 10.2),), [10.0])
    assert 2 not in plan_layers((low, high), ALWAYS)


def test_where_nothing_flows_the_last_picture_stays():
    only = layer(1, "", ((0.0, 10.0), (12.0, 20.0)), [0.0])
    plan = plan_layers((only,), ((0.0, 20.0),))[1]
    assert plan.show == ((0.0, 20.0),)


def test_of_two_equal_layers_the_newer_is_the_one_in_use():
    old, new = layer(1, "", ALWAYS, [0.0]), layer(2, "", ((50.0, 100.0),), [50.0])
    plans = plan_layers((new, old), ALWAYS)
    assert plans[1].show == ((0.0, 50.0),)
    assert plans[2].show == ((50.0, 100.0),)
