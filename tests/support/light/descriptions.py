"""The descriptions of a client without media: offers with the sections that Chromium writes, and answers to ours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from media.relay import sdp

_CAPTURED = Path(__file__).parents[2] / "unit/media/relay/sdp/chromium-single-join.offer"
_OWN = re.compile(
    r"a=(mid|setup|sendrecv|sendonly|recvonly|inactive|ice-ufrag|ice-pwd|fingerprint|msid|ssrc|candidate)"
)
_HEAD = "v=0\r\no=- 1 {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=extmap-allow-mixed\r\na=group:BUNDLE {mids}\r\n"


def _templates() -> dict[str, str]:
    """By kind, a section of Chromium's without what is a connection's own."""
    found: dict[str, str] = {}
    for section in re.split(r"(?m)^(?=m=)", _CAPTURED.read_text())[1:]:
        lines = [line for line in section.splitlines() if not _OWN.match(line)]
        found.setdefault(lines[0][2:].split()[0], "".join(line + "\r\n" for line in lines))
    return found


TEMPLATES = _templates()


@dataclass(frozen=True)
class Remote:
    """Where the relay is, as its description says."""

    ufrag: str
    password: str
    fingerprint: tuple[str, str]
    address: tuple[str, int]  # of the first UDP candidate


def remote(description: str) -> Remote:
    parsed = sdp.parse(description)
    password = re.search(r"(?m)^a=ice-pwd:(\S+)", description)
    candidate = re.search(r"(?m)^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) ", description)
    if password is None or candidate is None:
        raise ValueError("no way to the relay")
    fingerprint = parsed.fingerprint
    address = candidate[1], int(candidate[2])
    return Remote(parsed.ufrag, password[1], (fingerprint.algorithm, fingerprint.value), address)


@dataclass(frozen=True)
class Local:
    """Our end of one transport."""

    ufrag: str
    password: str
    fingerprint: tuple[str, str]

    def lines(self, setup: str) -> str:
        print_ = f"a=fingerprint:{' '.join(self.fingerprint)}\r\n"
        return f"a=ice-ufrag:{self.ufrag}\r\na=ice-pwd:{self.password}\r\n{print_}a=setup:{setup}\r\n"


@dataclass(frozen=True)
class Section:
    """One of our offers' sections: data channels, a track of ours (`cid`), or a place for somebody else's."""

    kind: str
    cid: str = ""

    def text(self, mid: int) -> str:
        if self.kind == "application":
            return f"{TEMPLATES[self.kind]}a=mid:{mid}\r\n"
        direction = f"a=sendonly\r\na=msid:- {self.cid}\r\n" if self.cid else "a=recvonly\r\n"
        return f"{TEMPLATES[self.kind]}a=mid:{mid}\r\n{direction}"


def offer(sections: list[Section], local: Local, version: int) -> str:
    mids = " ".join(map(str, range(len(sections))))
    body = "".join(section.text(mid) + local.lines("actpass") for mid, section in enumerate(sections))
    return _HEAD.format(version=version, mids=mids) + body


def answer(offered: str, local: Local) -> str:
    """Take everything."""
    text = re.sub(
        r"(?m)^a=(ice-|fingerprint|setup|candidate|end-of-candidates|msid:|ssrc|ice-lite).*\r?\n", "", offered
    )
    text = text.replace("a=sendonly", "a=recvonly")
    head, *sections = re.split(r"(?m)^(?=m=)", text)
    return head + "".join(section + local.lines("active") for section in sections)
