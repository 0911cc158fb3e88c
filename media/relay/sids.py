"""The ids that LiveKit clients expect: a prefix that tells the kind, and random characters. Not Palabre's own ids.

Clients check prefixes: a participant's starts with PA, a track's with TR (livekit-client refuses others).
"""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 12  # characters, as LiveKit's: 71 bits, since a participant's sid is half of what a resume proves

ROOM = "RM_"
PARTICIPANT = "PA_"
AUDIO_TRACK = "TR_A"
VIDEO_TRACK = "TR_V"
DATA_TRACK = "DTR_"
NODE = "ND_"
RPC = "RPC_"
EVENT = "EV_"  # of a webhook
WORKER = "AW_"
DISPATCH = "AD_"
JOB = "AJ_"


def new_sid(prefix: str) -> str:
    """A fresh id of the kind that `prefix` names."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
