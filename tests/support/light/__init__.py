"""A LiveKit client without media: signalling, ICE, DTLS and SCTP are real, and hundreds fit into one process."""
