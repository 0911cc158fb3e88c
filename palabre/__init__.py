"""Palabre's face and wiring: command line, settings, composition root and demo."""

__version__ = "0.1.0"
