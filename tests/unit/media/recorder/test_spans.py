from hypothesis import given
from hypothesis import strategies as st

from media.recorder.spans import contains, intersect, subtract, total, union

spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)).map(lambda pair: (min(pair), max(pair))), max_size=8)


def points(each):
    """The half-open unit cells that spans cover."""
    return {cell for start, end in each for cell in range(start, end)}


@given(spans, spans)
def test_union_intersection_and_difference_are_those_of_sets(one, other):
    a, b = union(one), union(other)
    assert points(a) == points(one)
    assert points(intersect(a, b)) == points(a) & points(b)
    assert points(subtract(a, b)) == points(a) - points(b)
    assert total(a) == len(points(a))
    for at in range(31):
        assert contains(a, at) == (at in points(a))


def test_holes_are_closed_up_to_a_gap():
    assert union([(0, 1), (1.5, 2), (4, 5)], gap=0.5) == ((0, 2), (4, 5))
