"""Frames encrypted end to end: against LiveKit's own worker, and against people who send what they please."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from media.recorder.e2ee import RATCHET_WINDOW, FrameError, KeyRing, decrypt_frame
from tests.support.media_e2ee import derive, escape, ratcheted, seal_frame

VECTORS = json.loads((Path(__file__).parent / "e2ee" / "vectors.json").read_text())
KEY = bytes.fromhex(VECTORS["key"])
INDEX = VECTORS["keyIndex"]
CODECS = ("opus", "red", "vp8", "vp9", "h264")


def ring(index=INDEX, key=KEY):
    made = KeyRing()
    assert made.put(index, key, 1.0)
    return made


def refused(codec, data, keys):
    with pytest.raises(FrameError) as caught:
        decrypt_frame(codec, data, keys, injected=b"palabre")
    return caught.value.reason


def test_the_aes_key_is_the_one_that_livekit_derives():
    assert derive(KEY, 16).hex() == "4086b4641064e1ae8b63d4eb83ad3e7e"


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_frames_of_livekits_worker_are_read_byte_for_byte(vector):
    codec = vector.get("codec", "opus")
    assert decrypt_frame(codec, bytes.fromhex(vector["enc"]), ring()).hex() == vector["plain"]


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_not_a_bit_of_a_frame_can_be_changed(vector):
    codec, sound = vector.get("codec", "opus"), bytes.fromhex(vector["enc"])
    for place in range(len(sound)):
        changed = bytearray(sound)
        changed[place] ^= 0x40
        assert refused(codec, bytes(changed), ring()) in {"not_authentic", "malformed", "missing_key"}


def test_empty_frames_stay_empty_and_frames_of_a_server_are_left_out():
    assert decrypt_frame("opus", b"", ring()) == b""
    assert refused("opus", b"\xf8\xff\xfepalabre", ring()) == "injected"


def test_av1_has_no_layout_and_an_unknown_codec_none_either():
    assert refused("av1", b"\x12\0" + bytes(60), ring()) == "unsupported"
    assert refused("", bytes(60), ring()) == "unsupported"


def test_a_frame_waits_for_the_key_of_its_own_index():
    keys = ring(index=3)
    assert refused("opus", seal_frame("opus", b"\x78hello", KEY, 4), keys) == "missing_key"
    assert keys.put(4, KEY, 2.0)
    assert decrypt_frame("opus", seal_frame("opus", b"\x78hello", KEY, 4), keys) == b"\x78hello"


def test_the_ring_holds_what_one_byte_names():
    keys = KeyRing()
    for index in range(256):
        assert keys.put(index, bytes([index]) * 16, 1.0)
    assert decrypt_frame("opus", seal_frame("opus", b"\x78old", bytes(16), 0), keys) == b"\x78old"
    with pytest.raises(ValueError, match="index"):
        keys.put(256, KEY, 1.0)
    with pytest.raises(ValueError, match="bytes"):
        keys.put(0, b"short", 1.0)


def test_a_key_that_was_overtaken_on_its_way_does_not_replace_the_newer_one():
    keys = KeyRing()
    assert keys.put(0, b"n" * 16, 20.0)
    assert not keys.put(0, b"o" * 16, 10.0)
    assert decrypt_frame("opus", seal_frame("opus", b"\x78new", b"n" * 16, 0), keys) == b"\x78new"
    assert keys.put(0, b"l" * 16, 30.0)
    assert refused("opus", seal_frame("opus", b"\x78new", b"n" * 16, 0), keys) == "not_authentic"


def test_a_sender_may_ratchet_as_far_as_the_window_and_never_back():
    keys = ring()
    far = seal_frame("opus", b"\x78far", ratcheted(KEY, RATCHET_WINDOW), INDEX)
    too_far = seal_frame("opus", b"\x78too far", ratcheted(KEY, 2 * RATCHET_WINDOW + 1), INDEX)
    assert decrypt_frame("opus", far, keys) == b"\x78far"
    assert refused("opus", seal_frame("opus", b"\x78back", KEY, INDEX), keys) == "not_authentic"
    assert refused("opus", too_far, keys) == "not_authentic"
    assert (
        decrypt_frame("opus", seal_frame("opus", b"\x78on", ratcheted(KEY, RATCHET_WINDOW + 3), INDEX), keys)
        == b"\x78on"
    )


def test_the_ciphertext_of_h264_may_hold_start_codes_that_were_escaped():
    key = derive(KEY, 16)
    head = bytes.fromhex("000000016742c01f000000016588")
    iv, clear = b"\0\0\0\1" * 3, bytes(range(200))
    sealed = AESGCM(key).encrypt(iv, clear, head) + iv + bytes([12, INDEX])
    escaped = escape(sealed)
    assert escaped != sealed
    assert decrypt_frame("h264", head + escaped, ring()) == head + clear


@given(st.sampled_from((*CODECS, "av1", "vp7")), st.binary(max_size=300), st.integers(0, 255))
def test_whatever_is_sent_is_a_frame_or_one_declared_error(codec, data, index):
    keys = ring()
    for tail in (b"", bytes([12, index]), bytes([index, INDEX])):
        with suppress(FrameError):
            assert decrypt_frame(codec, data + tail, keys, injected=b"palabre") == b""


@given(st.sampled_from(CODECS), st.binary(min_size=16, max_size=400), st.integers(0, RATCHET_WINDOW))
def test_what_a_sender_seals_is_read_whatever_it_holds(codec, clear, steps):
    if codec == "h264":
        clear = b"\0\0\0\1\x65" + clear.replace(b"\0\0", b"\0\7")
    assert decrypt_frame(codec, seal_frame(codec, clear, ratcheted(KEY, steps), INDEX), ring()) == clear
