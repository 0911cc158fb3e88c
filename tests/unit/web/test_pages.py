"""The call page as it is served: filled in afresh at each request, its files for ever."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from web.pages import Pages, page_language, script_json
from web.settings import WebSettings

TEMPLATE = """<html lang="{{ lang }}"><meta property="csp-nonce" nonce="{{ nonce }}">
<script type="application/json" id="config">{{ config_json }}</script></html>"""
CONFIG = {"version": "1", "evil": "</script><script>alert(1)</script><!-- {{7*7}}"}
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    root = web.Application()
    pages = Pages(
        WebSettings(frame_ancestors=("https://element.example.org",)),
        "wss://meet.example.org",
        lambda: CONFIG,
        tmp_path,
    )
    pages.add_routes(root.router)
    client = TestClient(TestServer(root), auto_decompress=False)
    await client.start_server()
    yield client
    await client.close()


def build(folder: Path) -> None:
    (folder / "index.html").write_text(TEMPLATE)
    (folder / "assets").mkdir()
    (folder / "assets" / "main-abc.js").write_text("plain")
    (folder / "assets" / "main-abc.js.gz").write_bytes(b"gzipped")


@pytest.mark.parametrize("path", ["/", "/m/abc", "/widget?roomId=x"])
async def test_every_address_of_the_page_is_the_page_with_a_nonce_of_its_own(
    client: Client, tmp_path: Path, path: str
) -> None:
    build(tmp_path)
    nonces = set()
    for _ in range(2):
        async with client.get(path, headers={"Accept-Language": "de"}) as response:
            text = await response.text()
            (nonce,) = re.findall(r'nonce="([^"]+)"', text)
            nonces.add(nonce)
            assert f"'nonce-{nonce}'" in response.headers["Content-Security-Policy"]
            assert "https://element.example.org" in response.headers["Content-Security-Policy"]
            assert 'lang="de"' in text
    assert len(nonces) == 2


async def test_nothing_in_the_configuration_ends_the_script_element(client: Client, tmp_path: Path) -> None:
    build(tmp_path)
    async with client.get("/") as response:
        text = await response.text()
    assert text.count("</script>") == 1
    assert "49" not in script_json(CONFIG)
    assert "<" not in script_json(CONFIG)


async def test_assets_are_served_compressed_and_for_ever(client: Client, tmp_path: Path) -> None:
    build(tmp_path)
    async with client.get("/assets/main-abc.js", headers={"Accept-Encoding": "gzip"}) as response:
        assert await response.read() == b"gzipped"
        assert response.headers["Content-Encoding"] == "gzip"
        assert "immutable" in response.headers["Cache-Control"]
        assert "javascript" in response.headers["Content-Type"]
    async with client.get("/assets/main-abc.js", headers={"Accept-Encoding": "identity"}) as response:
        assert await response.read() == b"plain"


@pytest.mark.parametrize(
    "path", ["/assets/..%2findex.html", "/assets/missing.js", "/assets/.hidden", "/assets/main-abc.js.gz", "/assets/"]
)
async def test_nothing_outside_the_assets_is_served(client: Client, tmp_path: Path, path: str) -> None:
    build(tmp_path)
    async with client.get(path) as response:
        assert response.status == 404


async def test_a_page_that_is_not_built_says_so_in_plain_words(client: Client) -> None:
    async with client.get("/m/abc", headers={"Accept-Language": "fr"}) as response:
        assert response.status == 503
        assert "make web" in await response.text()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        ("es, de;q=0.4, en;q=0.3", "de"),
        ("en;q=0.1, de_AT;q=0.9", "de"),
        ("", "en"),
        ("*", "en"),
        ("fr;q=abc", "en"),
        ("," * 5000, "en"),
    ],
)
def test_the_browser_chooses_the_language(header: str, language: str) -> None:
    assert page_language(header) == language
