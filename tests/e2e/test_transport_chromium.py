"""Chromium's own ICE, DTLS and SCTP against the relay's transport, without LiveKit: over UDP, over TCP, and under loss.

Messages are small and many: that is how a browser's SCTP comes to have hundreds of chunks under way, gives up lossy
ones in the packet that carries the next, and asks most of an association.
"""

import random

import pytest
from playwright.async_api import Browser, Page

from media.relay.transport.peer import PeerTransport, SctpOffer
from tests.support.transport import Observer, Relay, running

pytestmark = pytest.mark.browser

MESSAGES = 600
LARGEST = 60_000  # bytes
OFFER = """async () => {
  window.pc = new RTCPeerConnection();
  window.reliable = pc.createDataChannel("_reliable");
  window.lossy = pc.createDataChannel("_lossy", { ordered: false, maxRetransmits: 0 });
  window.numbers = [];
  reliable.binaryType = "arraybuffer";
  reliable.onmessage = (event) => numbers.push(new DataView(event.data).getUint32(0));
  await pc.setLocalDescription(await pc.createOffer());
  return pc.localDescription.sdp;
}"""
SEND = """async ([messages, largest]) => {
  for (let number = 0; number < messages; number++) {
    const message = new Uint8Array(number % 50 ? 40 : largest);
    new DataView(message.buffer).setUint32(0, number);
    reliable.send(message);
    lossy.send(new Uint8Array(40));
  }
}"""


def answer(peer: PeerTransport, candidates: list[str]) -> str:
    """To an offer with data channels only."""
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=ice-lite"]
    lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0", "a=sctp-port:5000"]
    lines += [f"a=ice-ufrag:{peer.ufrag}", f"a=ice-pwd:{peer.password}", "a=fingerprint:" + " ".join(peer.fingerprint)]
    lines += ["a=setup:passive", "a=max-message-size:65536", *(f"a={line}" for line in candidates)]
    return "\r\n".join([*lines, ""])


async def connect(relay: Relay, page: Page, protocol: str) -> tuple[PeerTransport, Observer]:
    peer, observer = relay.peer()
    sdp = await page.evaluate(OFFER)
    algorithm, value = next(line for line in sdp.split("\r\n") if line.startswith("a=fingerprint:"))[14:].split()
    peer.start(remote_fingerprint=(algorithm, value), remote_setup="active", sctp=SctpOffer(5000, 65536))
    candidates = [line for line in relay.ports.candidates() if f" {protocol} " in line]
    await page.evaluate("(sdp) => pc.setRemoteDescription({ type: 'answer', sdp })", answer(peer, candidates))
    await relay.until(lambda: sorted(observer.opened) == ["_lossy", "_reliable"])
    return peer, observer


@pytest.mark.parametrize(("protocol", "loss"), [("udp", 0.0), ("tcp", 0.0), ("udp", 0.05)])
async def test_chromium_and_the_relay_exchange_messages(browser: Browser, protocol: str, loss: float) -> None:
    chance = random.Random(5)
    async with running() as relay:
        page = await browser.new_page()
        peer, observer = await connect(relay, page, protocol)
        if loss:
            receive = peer.receive
            peer.receive = lambda datagram, now: (  # type: ignore[method-assign]
                None if chance.random() < loss else receive(datagram, now)
            )
        await page.evaluate(SEND, [MESSAGES, LARGEST])

        def numbers() -> list[int]:
            return [
                int.from_bytes(data[:4], "big")
                for label, data in zip(observer.labels, observer.messages, strict=True)
                if label == "_reliable"
            ]

        await relay.until(lambda: len(numbers()) == MESSAGES or observer.closed, seconds=60)
        assert observer.closed == []
        assert numbers() == list(range(MESSAGES))
        for number in range(MESSAGES):
            size = LARGEST if number % 50 == 0 else 40
            assert peer.send("_reliable", number.to_bytes(4, "big") + bytes(size - 4))
        await page.wait_for_function("(count) => numbers.length === count", arg=MESSAGES, timeout=60_000)
        assert await page.evaluate("numbers") == list(range(MESSAGES))
        await page.evaluate("pc.close()")
        await relay.until(lambda: observer.closed == ["dtls_closed"])
        await peer.close()
