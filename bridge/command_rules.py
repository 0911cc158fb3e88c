"""What must hold before somebody is obeyed in a room, beside what the room allows: when and on which device they wrote.

Pure.
"""

from __future__ import annotations

from appservice.seams import SendingDevice
from palabre.base.errors import CallerError

# Room keys come late, and a service that was down finds what was written meanwhile. Homeservers' clocks differ, too.
COMMAND_SECONDS = 600.0


def require_fresh(sent_at: float, now: float) -> None:
    """What begins a capture, or lets somebody be captured, is meant for the call of that moment."""
    if now - sent_at > COMMAND_SECONDS:
        raise CallerError(
            "command_too_old", "That was written too long ago to be obeyed now. Write it again.", status=409
        )


def require_device(device: SendingDevice | None) -> None:
    """What lets somebody be captured must come from a device that is theirs, as far as the settings want to know."""
    if device is not None and not device.enough:
        raise CallerError(
            "device_not_verified",
            "That came from a device that its owner has not verified. Verify it, or answer from one that is.",
            status=403,
        )
