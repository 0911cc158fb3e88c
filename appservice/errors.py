"""Why the bot cannot start, in a sentence for whoever runs the service."""

from __future__ import annotations


class StartError(Exception):
    """Only the operator can help; the message says how."""
