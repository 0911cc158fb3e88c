"""Logs as JSON lines or for a terminal, with secrets, user ids and addresses taken out before anything is written.

Loggers are `structlog.get_logger("relay")`; libraries that use `logging` go through the same renderer.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_KEYS = frozenset(
    {"token", "access_token", "as_token", "hs_token", "secret", "password", "authorization", "recovery_key", "session"}
)
_HEXTETS = r"[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6}"  # of a shortened IPv6 address, on either side of `::`
# Bearer tokens, tokens in queries, JSON web tokens, Matrix user ids, and addresses: libraries write them.
_PATTERNS = (
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]+"), r"\1[hidden]"),
    (re.compile(r"(?i)\b((?:access_)?token=)[^&\s\"']+"), r"\1[hidden]"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), "[hidden]"),
    (re.compile(r"(?<![\w.])@[^\s:@/\"'<>]{1,255}:(?:\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::\d{1,5})?"), "[user]"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "[address]"),
    (re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){4,7}[0-9a-fA-F]{1,4}\b"), "[address]"),
    (re.compile(rf"(?<![\w:])(?:{_HEXTETS}::(?:{_HEXTETS})?|::{_HEXTETS})(?![\w:])"), "[address]"),
)


def hide(text: str) -> str:
    """`text` without tokens, Matrix user ids and network addresses."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def hide_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """structlog processor: the last one before rendering."""
    for key, value in event.items():
        if key.lower() in SECRET_KEYS:
            event[key] = "[hidden]"
        elif isinstance(value, str):
            event[key] = hide(value)
    return event


def _stdlib_logger(*names: str) -> logging.Logger:
    """Not `structlog.stdlib.LoggerFactory`, which replaces the class of every later logger: mautrix needs its own."""
    return logging.getLogger(*names)


def configure_logs(level: str = "info", *, json: bool = False) -> None:
    """Send every log of the process to standard error. Call once, before anything logs."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=_stdlib_logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiortc", "aioice", "mau", "asyncio", "aiosqlite", "aiohttp.access", "faster_whisper", "PIL"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
