"""Where delayed events of other homeservers' people are put off: what their well-known files may say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.client_api import ClientApis, base_url_in
from bridge.settings import ClientApi
from palabre.base.clock import ManualClock
from palabre.base.errors import CallerError, PeerError
from palabre.base.http import Answer, OutboundFailedError


class FakeHttp:
    def __init__(self, *answers: Answer | Exception) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    async def request(self, _method: str, url: str, **_: Any) -> Answer:
        self.asked.append(url)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def well_known(base_url: object) -> Answer:
    return Answer(200, {}, json.dumps({"m.homeserver": {"base_url": base_url}}).encode())


def apis(http: FakeHttp, clock: ManualClock, *given: ClientApi) -> ClientApis:
    return ClientApis(given, http, clock)  # type: ignore[arg-type]


async def test_the_settings_stand_above_the_well_known_file_and_answers_are_kept() -> None:
    http, clock = FakeHttp(well_known("https://matrix.b.example/")), ManualClock()
    found = apis(http, clock, ClientApi(name="a.example", url="http://10.0.0.1:8008"))  # type: ignore[arg-type]
    assert await found.find("a.example") == "http://10.0.0.1:8008"
    for _ in range(3):
        assert await found.find("b.example") == "https://matrix.b.example"
    assert http.asked == ["https://b.example/.well-known/matrix/client"]


async def test_a_port_in_a_server_name_is_the_federations() -> None:
    http = FakeHttp(well_known("https://m.example"), well_known("https://m.example"))
    found = apis(http, ManualClock())
    await found.find("b.example:8448")
    await found.find("[2001:db8::1]:8448")
    assert http.asked == [
        "https://b.example/.well-known/matrix/client",
        "https://[2001:db8::1]/.well-known/matrix/client",
    ]


@pytest.mark.parametrize("answer", [Answer(404, {}, b""), Answer(200, {}, b"no"), OutboundFailedError("away")])
async def test_a_server_that_names_none_is_not_asked_again_for_a_minute(answer: Answer | Exception) -> None:
    http, clock = FakeHttp(answer, well_known("https://m.example")), ManualClock()
    found = apis(http, clock)
    for _ in range(2):
        with pytest.raises(CallerError, match="Unable to resolve client-server API"):
            await found.find("b.example")
    assert len(http.asked) == 1
    clock.advance(61)
    assert await found.find("b.example") == "https://m.example"


@pytest.mark.parametrize(
    "base_url",
    [
        None,
        7,
        "",
        "http://m.example",
        "ftp://m.example",
        "https://",
        "https://m.example?x",
        "https://m.example#x",
        "https://user:pw@m.example",
        "https://m.example/\n",
        "javascript:alert(1)",
        "https://" + "x" * 1000,
    ],
)
def test_what_is_no_plain_https_address_is_none(base_url: object) -> None:
    with pytest.raises((PeerError, ValueError)):
        base_url_in({"m.homeserver": {"base_url": base_url}})
    documents: list[object] = [None, [], {}, {"m.homeserver": []}]
    for document in documents:
        with pytest.raises(PeerError):
            base_url_in(document)
