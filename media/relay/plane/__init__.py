"""The packet path: RTP in, RTP out, behind the `RtpPlane` seam."""

from media.relay.plane.plane import PythonPlane

__all__ = ["PythonPlane"]
