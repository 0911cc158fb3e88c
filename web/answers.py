"""How handlers become answers: refusals as JSON with their code, mistakes of ours logged and never shown.

The wrapping is done per handler, not as a middleware, because the page shares its root with the relay and the bot.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import web

from palabre.base import metrics
from palabre.base.errors import CallerError
from web.headers import plain_headers

log = structlog.get_logger("web")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JsonHandler = Callable[[web.Request], Awaitable[Mapping[str, Any]]]

BODY_LIMIT = 16 * 1024  # bytes: the largest body is an OpenID token with its frame

_refusals = metrics.counter("web_refusals", "Requests to the page's API that were refused", ["status"])


def api(handler: JsonHandler) -> Handler:
    """Answer with what `handler` returns as JSON; with `{"code", "message", "params"}` for what it raises."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return _json(await handler(request), 200)
        except CallerError as refusal:
            _refusals.labels(str(refusal.status)).inc()
            return refused(refusal)
        except web.HTTPException:
            raise
        except Exception:  # ours: logged with a reference, told as such
            reference = secrets.token_hex(4)
            log.exception("request failed", path=_route(request), reference=reference)
            _refusals.labels("500").inc()
            sentence = f"Something went wrong on our side (reference {reference}). Try again."
            return refused(CallerError("internal", sentence, status=500, reference=reference))

    return answer


def refused(refusal: CallerError) -> web.Response:
    headers = {}
    if "retry_after" in refusal.params:
        headers["Retry-After"] = str(refusal.params["retry_after"])
    body = {"code": refusal.code, "message": refusal.sentence, "params": refusal.params}
    return _json(body, refusal.status, headers)


async def read_json(request: web.Request) -> dict[str, Any]:
    """The body as a JSON object. Raises `CallerError` for what is too long or none."""
    if request.content_type != "application/json":
        raise CallerError("bad_json", "The body must be JSON (Content-Type: application/json).", status=415)
    body = bytearray()
    async for chunk in request.content.iter_chunked(4096):
        body += chunk
        if len(body) > BODY_LIMIT:
            raise CallerError("body_too_large", f"The body has more than {BODY_LIMIT} bytes.", status=413)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise CallerError("bad_json", "The body is not a JSON object.")
    return document


def text_field(document: Mapping[str, Any], name: str, *, limit: int) -> str:
    """A string of the document that is there, not empty and at most `limit` characters long."""
    value = document.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit or not _storable(value):
        raise CallerError("bad_field", f"“{name}” must be a text of 1 to {limit} characters.", field=name)
    return value


def _storable(text: str) -> bool:
    """No lone surrogates, which JSON can spell and UTF-8 cannot, and no NUL, which PostgreSQL does not take."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _json(body: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers={**plain_headers(), **(headers or {})})


def _route(request: web.Request) -> str:
    """The route's pattern: ids of meetings don't belong into logs."""
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical
