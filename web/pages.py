"""The call page itself: one built template, filled in at each request, and the static files it names."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, TemplateNotFound
from markupsafe import Markup

from palabre.base.words import FALLBACK, LANGUAGES, choose_language, say
from web.headers import asset_headers, page_headers, plain_headers
from web.settings import WebSettings

log = structlog.get_logger("pages")

STATIC = Path(__file__).parent / "static"  # what `make web` builds
NONCE_BYTES = 18
WIDGET_PATH = "/widget"


class Pages:
    """Serves `/`, `/m/{id}`, `/widget` with the same page, which reads its own address, and `/assets/…`."""

    def __init__(
        self,
        settings: WebSettings,
        livekit_url: str,
        config: Callable[[], Mapping[str, Any]],
        static: Path = STATIC,
    ) -> None:
        self._settings = settings
        self._livekit_url = livekit_url
        self._config = config
        self._static = static
        self._templates = Environment(loader=FileSystemLoader(static), autoescape=True)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/", self._page)
        router.add_get("/m/{id}", self._page)
        router.add_get(WIDGET_PATH, self._page)
        router.add_get(r"/assets/{name:[A-Za-z0-9_.-]{1,200}}", self._asset)
        router.add_get("/favicon.ico", self._nothing)
        router.add_get("/robots.txt", self._robots)

    async def _page(self, request: web.Request) -> web.Response:
        language = page_language(request.headers.get("Accept-Language", ""))
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        try:
            html = self._templates.get_template("index.html").render(
                nonce=nonce, lang=language, config_json=script_json(self._config())
            )
        except TemplateNotFound:
            log.warning("the call page is not built: run `make web`")
            return web.Response(status=503, text=say(language, "page.not_built"), headers=plain_headers())
        # Only inside a Matrix client does the page take part in calls across homeservers.
        foci = self._settings.foci if request.path == WIDGET_PATH else ()
        headers = page_headers(nonce, self._livekit_url, self._settings.frame_ancestors, foci)
        return web.Response(text=html, content_type="text/html", headers={**headers, "Vary": "Accept-Language"})

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        """A built file; its compressed sibling where the browser takes it (aiohttp chooses)."""
        path = self._static / "assets" / request.match_info["name"]
        if path.suffix in (".gz", ".br") or path.name.startswith(".") or not path.is_file():
            return web.Response(status=404, text="Not found", headers=plain_headers())
        return web.FileResponse(path, headers={**asset_headers(), "Vary": "Accept-Encoding"})

    async def _nothing(self, _request: web.Request) -> web.Response:
        return web.Response(status=404, headers=plain_headers())

    async def _robots(self, _request: web.Request) -> web.Response:
        return web.Response(text="User-agent: *\nDisallow: /\n", headers=plain_headers())


def script_json(value: Any) -> Markup:
    """JSON that can stand inside a script element: nothing in it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return Markup(text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026"))  # noqa: S704 - escaped here


def page_language(accept_language: str) -> str:
    """Which of our languages the browser likes best, RFC 9110 section 12.5.4."""
    best, weight = FALLBACK, 0.0
    for entry in accept_language[:1000].split(","):
        tag, _, parameters = entry.partition(";")
        quality = _quality(parameters)
        if tag.strip().replace("_", "-").split("-")[0].lower() in LANGUAGES and quality > weight:
            best, weight = choose_language(tag.strip()), quality
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
