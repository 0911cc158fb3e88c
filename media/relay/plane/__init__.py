"""The packet path: RTP in, RTP out, behind the `RtpPlane` seam."""
