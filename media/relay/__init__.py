"""The LiveKit-protocol relay: signalling, rooms, transports and the packet path."""
