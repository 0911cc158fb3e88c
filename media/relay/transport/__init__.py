"""One UDP and one TCP port for everybody: ICE-lite, DTLS, SCTP."""
