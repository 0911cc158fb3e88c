"""Agents: programs that register as workers and are sent into rooms (LiveKit's agent dispatch)."""
