"""Requests to the homeserver that survive its absence: repeated with patience, obeying what it says about its load.

mautrix's `HTTPAPI` with another way of failing. Every request that goes through here may be repeated by the Matrix
specification (PUT with a transaction id, reads) or by how we use it (rooms are created under a unique alias).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from mautrix.api import HTTPAPI, Method, PathBuilder
from mautrix.errors import MatrixConnectionError, MatrixRequestError, make_request_error
from yarl import URL

from appservice.events import decode_json
from palabre.base.errors import CallerError
from palabre.base.metrics import counter

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 100.0  # without a byte; joining a large room over federation takes long, and /sync waits 30 s
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0  # a homeserver that comes back is used within this time
LONGEST_WISH = 3600.0  # of Retry-After
# Times that an error of the homeserver itself is tried again: it may be this request that provokes it, or another
# homeserver that is not there.
SERVER_FAULTS = 3
AWAY = frozenset({502, 503, 504})  # what proxies answer while the homeserver restarts, without an errcode
MAX_REFUSAL = 64 * 1024  # bytes read of an error page

log = structlog.get_logger("matrix")
retried = counter("matrix_requests_retried", "Requests to the homeserver that were repeated", ["reason"])


class RateLimitedError(MatrixRequestError):
    """429, with the time that the homeserver wants us to wait."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.http_status = 429
        self.errcode = "M_LIMIT_EXCEEDED"
        self.message = message
        self.retry_after = retry_after  # seconds


def open_session() -> ClientSession:
    """What `HomeserverApi` objects share; close it after the last of them."""
    timeout = ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
    return ClientSession(timeout=timeout, headers={"User-Agent": "palabre"})


class HomeserverApi(HTTPAPI):
    """One identity towards the homeserver. Raises `MatrixRequestError` for refusals, and `MatrixConnectionError` only
    when `patience` (seconds) was given and is used up; otherwise it waits for the homeserver to come back.
    """

    def __init__(self, base_url: str, token: str, session: ClientSession, patience: float | None = None) -> None:
        super().__init__(base_url, token, client_session=session)
        self._patience = patience

    async def request(
        self,
        method: Method,
        path: PathBuilder | str,
        content: Any = None,
        headers: dict[str, str] | None = None,
        query_params: Mapping[str, str] | None = None,
        retry_count: int | None = None,
        metrics_method: str = "",
        min_iter_size: int = 25 * 1024 * 1024,
        sensitive: bool = False,
    ) -> Any:
        """As mautrix's, but `retry_count` is how often an error of the homeserver itself is tried again: 0 where the
        absence of another one is the likely reason. `content` may be a function that makes the body anew for each try.
        """
        faults = SERVER_FAULTS if retry_count is None else retry_count
        loop = asyncio.get_running_loop()
        give_up = None if self._patience is None else loop.time() + self._patience
        attempt = 0
        while True:
            try:
                return await super().request(
                    method,
                    path,
                    content() if callable(content) else content,
                    dict(headers or {}),
                    dict(query_params or {}),
                    retry_count=0,
                    min_iter_size=min_iter_size,
                )
            except (MatrixConnectionError, MatrixRequestError, TimeoutError) as problem:
                wait = delay_before_retry(problem, attempt, random.random(), faults)  # noqa: S311
                if wait is None or (give_up is not None and loop.time() + wait > give_up):
                    raise
                if attempt == 0:
                    log.warning("homeserver does not answer, trying again", reason=reason_of(problem))
                retried.labels(reason_of(problem)).inc()
            attempt += 1
            await asyncio.sleep(wait)

    def _log_request(self, *_args: Any) -> None:
        """Nothing that people write belongs into logs, not even at debug level."""

    async def _send(
        self,
        method: Method,
        url: URL,
        content: Any,
        query_params: dict[str, str],
        headers: dict[str, str],
    ) -> tuple[Any, ClientResponse]:
        sending = self.session.request(str(method), url, data=content, params=query_params, headers=headers)
        async with sending as response:
            if not 200 <= response.status < 300:
                raise refusal(response.status, response.headers, await response.content.read(MAX_REFUSAL))
            return await response.json(loads=decode_json), response


def delay_before_retry(problem: Exception, attempt: int, chance: float, faults: int = SERVER_FAULTS) -> float | None:
    """Seconds to wait before trying again, or None when that would not help. `chance` in 0…1 spreads the crowd."""
    backoff: float = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempt, 10)) * (0.5 + chance / 2)
    if isinstance(problem, RateLimitedError):
        wished = problem.retry_after
        return backoff if wished is None else min(wished, LONGEST_WISH) + chance
    if isinstance(problem, MatrixRequestError):
        if problem.http_status in AWAY and not problem.errcode:
            return backoff
        return backoff if problem.http_status >= 500 and attempt < faults else None
    return backoff


def reason_of(problem: Exception) -> str:
    """A word for a metric's label."""
    if isinstance(problem, RateLimitedError):
        return "rate_limit"
    return "server_error" if isinstance(problem, MatrixRequestError) else "connection"


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> MatrixRequestError:
    """The error for a response, whatever its body is."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    answer = parsed if isinstance(parsed, dict) else {}
    message = str(answer.get("error", ""))[:500]
    if status == 429:
        return RateLimitedError(message, retry_after(headers, answer))
    code = answer.get("errcode")
    errcode = code if isinstance(code, str) else None
    unstable = answer.get("org.matrix.msc3848.unstable.errcode")
    return make_request_error(status, message, errcode, message, unstable if isinstance(unstable, str) else None)


def retry_after(headers: Mapping[str, str], answer: Mapping[str, Any]) -> float | None:
    """Seconds, from the header or the older field. https://spec.matrix.org/v1.16/client-server-api/#rate-limiting"""
    seconds = headers.get("Retry-After", "")
    if seconds.isascii() and seconds.isdigit():
        return float(seconds)
    milliseconds = answer.get("retry_after_ms")
    return milliseconds / 1000 if isinstance(milliseconds, int) and milliseconds >= 0 else None


def as_caller_error(problem: MatrixRequestError) -> CallerError:
    """What the homeserver refuses for good, for whoever asked us."""
    reason = problem.message or problem.errcode or str(problem.http_status)
    sentence = f"The homeserver refused: {reason}"
    return CallerError("homeserver_refused", sentence, status=502, reason=reason, errcode=problem.errcode or "")
