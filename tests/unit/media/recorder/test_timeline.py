"""Who is where on the screen, from what people did."""

from itertools import pairwise

from media.recorder.spans import contains
from media.recorder.timeline import Attendee, Video, make_timeline, on_screen

LONG = 60.0


def person(identity, *, present=((0.0, LONG),), camera=((0.0, LONG),), screen=(), muted=(), speaking=()):
    return Attendee(
        identity=identity,
        name=identity.title(),
        present=present,
        cameras=(Video(f"{identity}-camera", camera),) if camera else (),
        screens=(Video(f"{identity}-screen", screen),) if screen else (),
        muted=muted,
        speaking=speaking,
    )


def scenes_of(*people, duration=LONG):
    scenes = make_timeline(people, duration, 1280, 720)
    assert scenes[0].start == 0.0
    assert scenes[-1].end == duration
    assert all(one.end == other.start for one, other in pairwise(scenes))
    return scenes


def at(scenes, time):
    return next(scene.tiles for scene in scenes if scene.start <= time < scene.end)


def shown(scenes, time):
    return [tile.identity for tile in at(scenes, time)]


def test_a_latecomer_appears_when_they_come_and_the_others_keep_their_order():
    scenes = scenes_of(person("ana"), person("bo", present=((20.0, LONG),), camera=((20.5, LONG),)))
    assert shown(scenes, 10) == ["ana"]
    assert shown(scenes, 30) == ["ana", "bo"]


def test_who_leaves_is_gone_and_an_empty_call_is_an_empty_scene():
    scenes = scenes_of(person("ana", present=((0.0, 20.0),)), person("bo", present=((5.0, 40.0),)))
    assert shown(scenes, 30) == ["bo"]
    assert shown(scenes, 50) == []


def test_a_camera_that_is_off_leaves_a_tile_without_picture():
    scenes = scenes_of(person("ana", camera=((0.0, 10.0), (20.0, LONG))))
    assert at(scenes, 5)[0].video == "ana-camera"
    assert at(scenes, 15)[0].video is None
    assert at(scenes, 30)[0].video == "ana-camera"


def test_a_muted_microphone_is_marked():
    scenes = scenes_of(person("ana", muted=((10.0, 20.0),)), person("bo"))
    assert [tile.muted for tile in at(scenes, 15)] == [True, False]
    assert [tile.muted for tile in at(scenes, 25)] == [False, False]


def test_a_shared_screen_takes_the_large_place_with_people_beside_it():
    scenes = scenes_of(person("ana", screen=((10.0, 20.0),)), person("bo"))
    large, first, second = at(scenes, 15)
    assert (large.screen, large.video) == (True, "ana-screen")
    assert large.rect.width > 4 * first.rect.width
    assert [first.identity, second.identity] == ["ana", "bo"]
    assert shown(scenes, 25) == ["ana", "bo"]


def test_of_two_shared_screens_the_newer_is_shown():
    scenes = scenes_of(person("ana", screen=((10.0, 40.0),)), person("bo", screen=((20.0, 30.0),)))
    assert [at(scenes, time)[0].video for time in (15, 25, 35)] == ["ana-screen", "bo-screen", "ana-screen"]


def test_of_twelve_people_nine_are_shown_and_who_speaks_takes_a_place():
    names = [f"p{number:02}" for number in range(12)]
    speaking = {"p11": ((20.0, 30.0),)}
    scenes = scenes_of(*(person(name, speaking=speaking.get(name, ())) for name in names))
    assert shown(scenes, 10) == names[:9]
    assert shown(scenes, 25) == [*names[:8], "p11"]
    assert shown(scenes, 50) == [*names[:8], "p11"]


def test_a_cough_does_not_change_who_is_shown():
    people = [person(f"p{number:02}", speaking=((20.0, 20.8),) if number == 11 else ()) for number in range(12)]
    assert "p11" not in shown(scenes_of(*people), 25)


def test_changes_that_are_near_each_other_happen_at_once():
    scenes = scenes_of(person("ana"), person("bo", present=((10.0, LONG),), camera=((10.3, LONG),)))
    assert [scene.start for scene in scenes] == [0.0, 10.0]
    assert at(scenes, 10.1)[1].video == "bo-camera"


def test_who_leaves_in_the_last_moment_does_not_vanish_from_the_last_scene():
    scenes = scenes_of(person("ana"), person("bo", present=((0.0, LONG - 0.2),)))
    assert shown(scenes, 30) == ["ana", "bo"]
    assert len(scenes) == 1


def test_when_a_picture_is_on_screen_is_known():
    scenes = scenes_of(person("ana", camera=((5.0, 20.0), (30.0, LONG))))
    assert on_screen(scenes, "ana-camera") == ((5.0, 20.0), (30.0, LONG))
    assert contains(on_screen(scenes, "ana-camera"), 10.0)
