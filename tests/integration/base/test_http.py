"""The outbound client against real servers on the loopback address, with name servers that lie."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from palabre.base.errors import PeerError
from palabre.base.http import MAX_BYTES, OutboundFailedError, OutboundHttp, OutboundRefusedError
from palabre.demo.certificates import write_self_signed

Handler = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]


class LyingResolver(AbstractResolver):
    """Answers look-ups from a list, one answer after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host, port=0, family=socket.AF_UNSPEC) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Server:
    """A web server on 127.0.0.1 that remembers what it was asked."""

    def __init__(self, answer: Handler) -> None:
        self.answer = answer
        self.asked: list[web.Request] = []
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        answer = self.answer(request)
        return answer if isinstance(answer, web.StreamResponse) else await answer

    def url(self, path: str = "/", host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@asynccontextmanager
async def serving(answer: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(answer)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def calling(**options) -> AsyncIterator[OutboundHttp]:
    http = OutboundHttp(**options)
    try:
        yield http
    finally:
        await http.close()


def hello(_request: web.Request) -> web.Response:
    return web.json_response({"hello": "world"})


async def test_an_allowed_server_answers():
    async with serving(hello) as server, calling(allow_private=True) as http:
        answer = await http.request("GET", server.url())
        assert (answer.status, answer.json()) == (200, {"hello": "world"})
        assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "localhost.", "0x7f.1", "2130706433", "0", "0.0.0.0"],
)
async def test_a_name_of_this_machine_is_refused_before_it_hears_of_us(host):
    async with serving(hello) as server, calling(ports={server.port}) as http:
        with pytest.raises(PeerError) as refused:
            await http.request("GET", server.url(host=host))
    assert server.asked == []
    assert isinstance(refused.value, OutboundRefusedError) or host == "localhost."  # some resolvers don't know that one


async def test_a_public_name_that_leads_to_this_machine_is_refused():
    resolver = LyingResolver(["127.0.0.1"])
    async with serving(hello) as server, calling(ports={server.port}, resolver=resolver) as http:
        with pytest.raises(OutboundRefusedError, match="private network"):
            await http.request("GET", server.url(host="matrix.example.org"))
        assert server.asked == []


async def test_a_name_that_changes_between_look_ups_never_reaches_this_machine(monkeypatch):
    tried: list[str] = []

    async def sock_connect(_sock, address):
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect, raising=False)
    resolver = LyingResolver(["1.1.1.1"], ["127.0.0.1"])
    async with calling(resolver=resolver) as http:
        with pytest.raises(OutboundFailedError):
            await http.request("GET", "https://rebind.example.org/")
        for _ in range(2):
            with pytest.raises(OutboundRefusedError):
                await http.request("GET", "https://rebind.example.org/")
    assert tried == ["1.1.1.1"]


async def test_of_several_addresses_only_the_public_ones_are_tried(monkeypatch):
    tried: list[str] = []

    async def sock_connect(_sock, address):
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect, raising=False)
    async with calling(resolver=LyingResolver(["127.0.0.1", "1.1.1.1", "fd00::1"])) as http:
        with pytest.raises(PeerError):
            await http.request("GET", "https://both.example.org/")
    assert set(tried) == {"1.1.1.1"}


async def test_a_redirect_into_the_private_network_is_refused():
    def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"http://inside.example.org:{request.url.port}/secret"})

    resolver = LyingResolver(["127.0.0.1"])
    async with serving(elsewhere) as server, calling(resolver=resolver, trusted=[server.url("")]) as http:
        with pytest.raises(OutboundRefusedError):
            await http.request("GET", server.url("/start"))
        assert [request.path for request in server.asked] == ["/start"]


async def test_a_server_of_the_settings_may_lie_in_the_private_network():
    async with serving(hello) as server, calling(trusted=[server.url("")]) as http:
        assert (await http.request("GET", server.url("/any"))).status == 200


async def test_redirects_are_followed_a_few_times_and_lose_headers_on_the_way_to_others():
    def answer(request: web.Request) -> web.Response:
        if request.path == "/loop":
            return web.Response(status=302, headers={"Location": "/loop"})
        if request.path == "/start":
            return web.Response(status=301, headers={"Location": f"http://localhost:{request.url.port}/end"})
        return web.json_response({"authorization": request.headers.get("Authorization")})

    async with serving(answer) as server, calling(allow_private=True) as http:
        secret = {"Authorization": "Bearer secret"}
        answer_here = await http.request("GET", server.url("/end"), headers=secret)
        assert answer_here.json() == {"authorization": "Bearer secret"}
        assert (await http.request("GET", server.url("/start"), headers=secret)).json() == {"authorization": None}
        with pytest.raises(PeerError, match="more than 3 times"):
            await http.request("GET", server.url("/loop"))
        assert (await http.request("GET", server.url("/start"), redirects=0)).status == 301
        assert (await http.request("POST", server.url("/start"), form={"a": "b"})).status == 301


@pytest.mark.parametrize(
    "location", ["", "mailto:a@b", "http://[", "//", "file:///etc/passwd", "http://a:b@example.org/"]
)
async def test_a_redirect_to_nowhere_is_the_peers_fault(location):
    def answer(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    async with serving(answer) as server, calling(allow_private=True) as http:
        with pytest.raises(PeerError):
            await http.request("GET", server.url())


async def test_an_endless_answer_is_cut_off():
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 10_000)

    async with serving(endless) as server, calling(allow_private=True) as http:
        with pytest.raises(PeerError, match=str(MAX_BYTES)):
            await http.request("GET", server.url())


async def test_a_compressed_answer_that_nobody_asked_for_is_refused():
    def bomb(_request: web.Request) -> web.Response:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    async with serving(bomb) as server, calling(allow_private=True) as http:
        with pytest.raises(PeerError, match="compressed"):
            await http.request("GET", server.url())


async def test_a_server_that_does_not_answer_fails_in_time():
    ended = asyncio.Event()

    async def silence(_request: web.Request) -> web.StreamResponse:
        await ended.wait()
        return web.Response()

    async with serving(silence) as server, calling(allow_private=True, timeout=0.2) as http:
        with pytest.raises(OutboundFailedError, match="too long"):
            await http.request("GET", server.url())
        ended.set()


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"])
async def test_a_server_that_does_not_speak_http_is_the_peers_fault(greeting):
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, calling(allow_private=True) as http:
        with pytest.raises(PeerError):
            await http.request("GET", f"http://127.0.0.1:{port}/")


async def test_a_server_found_under_another_name_must_have_the_certificate_of_its_own(tmp_path):
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    write_self_signed("example.org", certificate, key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    trust = ssl.create_default_context(cafile=str(certificate))
    resolver = LyingResolver(["127.0.0.1"])
    async with (
        serving(hello, tls) as server,
        calling(allow_private=True, resolver=resolver, ssl_context=trust) as http,
    ):
        url = server.url(host="srv-target.example.net", scheme="https")
        assert (await http.request("GET", url, server_name="example.org")).status == 200
        assert server.asked[0].headers["Host"] == "example.org"
        with pytest.raises(OutboundFailedError, match="certificate"):
            await http.request("GET", url)
        with pytest.raises(OutboundFailedError, match="certificate"):
            await http.request("GET", url, server_name="example.com")


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 60_000])
async def test_what_is_not_json_is_the_peers_fault(body):
    async with serving(lambda _: web.Response(body=body)) as server, calling(allow_private=True) as http:
        answer = await http.request("GET", server.url())
        with pytest.raises(PeerError, match="not JSON"):
            answer.json()


async def test_errors_name_no_address():
    async with calling() as http:
        with pytest.raises(OutboundRefusedError) as refused:
            await http.request("GET", "http://10.1.2.3/")
        assert "10.1.2.3" not in str(refused.value)
