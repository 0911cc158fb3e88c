"""Who speaks, from the levels that clients put into their audio packets (RFC 6464). Nothing is decoded.

An update names only what changed, those who fell silent with `active` false; that is how LiveKit's clients read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from livekit.protocol import models

from media.relay.participant import Participant

INTERVAL = 0.4  # seconds between looks; LiveKit's
ACTIVE_LEVEL = 45  # -dBov: louder than that is speech; rooms with a fan have about 55
SILENT_LOOKS = 3  # pauses between words are shorter than three looks
_STEPS = 8  # levels are rounded to eighths, so that not every look is an update


def loudest(participants: Iterable[Participant], levels: Mapping[int, int]) -> dict[str, int]:
    """By participant sid, of those who are heard at all. `levels`: of each of the packet path's tracks, in -dBov."""
    found: dict[str, int] = {}
    for participant in participants:
        heard = [
            levels[track.number]
            for track in participant.tracks.values()
            if track.kind == "audio" and not track.info.muted and track.number in levels
        ]
        if heard:
            found[participant.sid] = min(heard)
    return found


class Speakers:
    """The speakers of one room."""

    def __init__(self) -> None:
        self._levels: dict[str, float] = {}  # participant sid → level of the last update
        self._silent: dict[str, int] = {}

    def look(self, levels: Mapping[str, int]) -> tuple[models.SpeakerInfo, ...]:
        """`levels`: the loudest of each participant since the last look, 0 loud … 127 silent. Returns what changed."""
        changed: list[models.SpeakerInfo] = []
        for sid in levels.keys() | self._levels.keys():
            level = _linear(levels[sid]) if levels.get(sid, 127) <= ACTIVE_LEVEL else 0.0
            if level == 0.0 and sid in self._levels:
                self._silent[sid] = self._silent.get(sid, 0) + 1
                if self._silent[sid] < SILENT_LOOKS and sid in levels:
                    continue
            if level == self._levels.get(sid, 0.0):
                continue
            changed.append(models.SpeakerInfo(sid=sid, level=level, active=level > 0))
            self._silent.pop(sid, None)
            if level:
                self._levels[sid] = level
            else:
                del self._levels[sid]
        return tuple(changed)

    def current(self) -> tuple[models.SpeakerInfo, ...]:
        """For somebody who has just come."""
        return tuple(models.SpeakerInfo(sid=sid, level=level, active=True) for sid, level in self._levels.items())


def _linear(level: int) -> float:
    """0…1 of -dBov, by amplitude, at least one step."""
    return float(max(round(10 ** (-level / 20) * _STEPS), 1)) / _STEPS
