"""What a stranger sees of a homeserver: does it answer, what runs there, its certificate, its clock, its MatrixRTC.

Nothing here needs an account there. A `Survey` is facts only; `appservice.federation.watching` stores them, and
`palabre doctor --focus` says what they mean.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import dataclasses
import email.utils
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import NameOID

from appservice.events import as_object, as_text, as_texts
from appservice.federation.client import AddressBook, FederationClient, NotListedError, Pinned
from appservice.federation.names import ServerName, parse_server_name
from appservice.federation.resolving import Target
from palabre.base.clock import Clock
from palabre.base.errors import PeerError
from palabre.base.http import Answer, OutboundHttp

VERSION_PATH = "/_matrix/federation/v1/version"
KEYS_PATH = "/_matrix/key/v2/server"
USERINFO_PATH = "/_matrix/federation/v1/openid/userinfo?access_token=palabre-asks-whether-this-is-here"
WELL_KNOWN_PATH = "/.well-known/matrix/client"
TRANSPORTS_PATH = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports"
TEXT_LIMIT = 100  # characters of what others say of themselves
FOCI_LIMIT = 10
# Switches of MatrixRTC that a homeserver names in /_matrix/client/versions.
FEATURES = {
    "delayed_events": "org.matrix.msc4140",
    "transports": "org.matrix.msc4143",
    "sticky_events": "org.matrix.msc4354",
}


@dataclass(frozen=True)
class Certificate:
    """What the federation port shows. Times are seconds since the epoch."""

    issuer: str
    expires_at: float
    for_name: bool
    self_signed: bool


@dataclass(frozen=True)
class ClientWellKnown:
    """`/.well-known/matrix/client`. Status 0: no answer."""

    status: int = 0
    base_url: str = ""
    foci: tuple[str, ...] | None = None  # service URLs of rtc_foci; None: there is no such key
    cors: bool = False
    is_json: bool = False


@dataclass(frozen=True)
class Survey:
    """`problem` empty: it answered over federation. Problems are reasons as `palabre.base.words.say_why` takes them."""

    problem: str = ""
    outside: str = ""  # what others meet who don't have the address that is given here for it
    version: str = ""
    clock_offset: float | None = None  # seconds: theirs minus ours
    certificate: Certificate | None = None
    openid: bool | None = None  # it confirms OpenID tokens; None: not seen
    key_problem: str = ""  # of a pinned signing key
    well_known: ClientWellKnown | None = None  # None: not asked, as in a closed federation
    client_url: str = ""
    matrix_version: str = ""  # empty: the client API did not answer
    features: dict[str, bool] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        return not self.problem

    def facts(self) -> dict[str, Any]:
        """As JSON, for the database."""
        return dataclasses.asdict(self)


class Surveyor:
    """Looks at one server at a time; a look is at most six requests."""

    def __init__(self, http: OutboundHttp, client: FederationClient, book: AddressBook, clock: Clock) -> None:
        self._http = http
        self._client = client
        self._book = book
        self._clock = clock

    async def look(
        self, server_name: str, *, signing_key: str = "", client_url: str = "", closed: bool = False
    ) -> Survey:
        """`client_url` is the client API where an operator gave it. Raises `NotListedError`."""
        name = parse_server_name(server_name)
        if name is None:
            return Survey(problem="no_server_name")
        pinned = await self._book.pinned(name)
        survey = await self._federation(name, signing_key)
        # In a closed federation nothing is looked up but what the list says.
        no_certificate = closed and pinned is not None and not pinned.url.startswith("https")
        no_client_side = closed and not client_url
        shown, client_side = await asyncio.gather(  # each may wait for somebody who says nothing
            _as_it_is(survey) if no_certificate else self._shown(name, pinned, survey),
            _as_it_is(survey) if no_client_side else self._client_side(name, survey, client_url),
        )
        return dataclasses.replace(client_side, outside=shown.outside, certificate=shown.certificate)

    async def _federation(self, name: ServerName, signing_key: str) -> Survey:
        try:
            answer = await self._client.get(name.text, VERSION_PATH)
            userinfo = await self._client.get(name.text, USERINFO_PATH)
            keys = await self._client.get(name.text, KEYS_PATH) if signing_key else None
        except NotListedError:
            raise
        except PeerError as error:
            return Survey(problem=error.reason)
        return Survey(
            version=read_version(answer),
            clock_offset=offset(answer, self._clock.wall()),
            openid=userinfo.status == 401,
            key_problem="" if keys is None else key_problem(_json(keys), name.text, signing_key),
        )

    async def _shown(self, name: ServerName, pinned: Pinned | None, survey: Survey) -> Survey:
        """With its certificate; and where the address given here shows none, with what others meet."""
        target: Target | None = None
        try:
            if pinned is not None and pinned.url.startswith("https"):
                parts = urlsplit(pinned.url)
                host, port, wanted = parts.hostname or "", parts.port or 443, parts.hostname or ""
            else:
                target = await self._found(name)
                host, port = target.host, target.port
                named = parse_server_name(target.name)
                wanted = name.bare_host if named is None else named.bare_host
            shown = await self._http.certificate(host, port, wanted, trusted=pinned is not None)
        except PeerError as error:
            return dataclasses.replace(survey, outside=error.reason if pinned is not None else "")
        outside = "" if target is None or pinned is None else await self._from_outside(target)
        return dataclasses.replace(survey, outside=outside, certificate=read_certificate(shown, wanted))

    async def _found(self, name: ServerName) -> Target:
        targets = await self._client.find(name.text)
        if not targets:
            raise PeerError("the domain says that it has no such server", code="no_server")
        return targets[0]

    async def _from_outside(self, target: Target) -> str:
        try:
            await self._http.request("GET", target.url + VERSION_PATH, server_name=target.name, redirects=0)
        except PeerError as error:
            return error.reason
        return ""

    async def _client_side(self, name: ServerName, survey: Survey, client_url: str) -> Survey:
        known = await self.well_known(name.text)
        url = client_url or known.base_url or f"https://{name.text}"
        versions: dict[str, Any] = {}
        try:
            answer = await self._http.request(
                "GET", f"{url.rstrip('/')}/_matrix/client/versions", trusted=bool(client_url)
            )
            versions = _json(answer) if answer.status == 200 else {}
        except PeerError:
            pass
        spoken = as_texts(versions.get("versions"))
        unstable = as_object(versions.get("unstable_features"))
        return dataclasses.replace(
            survey,
            well_known=known,
            client_url=url,
            matrix_version=spoken[-1][:TEXT_LIMIT] if spoken else "",
            features={feature: unstable.get(flag) is True for feature, flag in FEATURES.items()} if spoken else {},
        )

    async def well_known(self, server_name: str) -> ClientWellKnown:
        """As Element Call asks for it: at the whole server name, port included, from a page of another origin."""
        url = f"https://{server_name}{WELL_KNOWN_PATH}"
        try:
            answer = await self._http.request("GET", url, headers={"Origin": "https://call.element.io"})
        except PeerError:
            return ClientWellKnown()
        return read_well_known(answer)


async def _as_it_is(survey: Survey) -> Survey:
    return survey


def read_version(answer: Answer) -> str:
    """`Synapse 1.163.2`; by the Server header where only the client API answers, as at our own homeserver's."""
    if answer.status != 200:
        return as_text(answer.headers.get("Server")).replace("/", " ", 1)[:TEXT_LIMIT]
    server = as_object(_json(answer).get("server"))
    words = (as_text(server.get("name")).strip(), as_text(server.get("version")).strip())
    return " ".join(word for word in words if word)[:TEXT_LIMIT]


def offset(answer: Answer, now: float) -> float | None:
    """Their clock minus ours in seconds, to a second or two."""
    try:
        return email.utils.parsedate_to_datetime(answer.headers.get("Date", "")).timestamp() - now
    except (ValueError, TypeError):
        return None


def read_well_known(answer: Answer) -> ClientWellKnown:
    document = _json(answer) if answer.status == 200 else {}
    base_url = as_text(as_object(document.get("m.homeserver")).get("base_url")).rstrip("/")
    foci = document.get("org.matrix.msc4143.rtc_foci")
    return ClientWellKnown(
        status=answer.status,
        base_url=base_url,
        foci=service_urls(foci) if isinstance(foci, list) else None,
        cors=answer.headers.get("Access-Control-Allow-Origin", "") in ("*", "https://call.element.io"),
        is_json=bool(document),
    )


def service_urls(transports: list[Any]) -> tuple[str, ...]:
    """Of transports of the type `livekit`, in their order; both spellings of the field."""
    found = [
        as_text(each.get("livekit_service_url")) or as_text(each.get("url"))
        for each in map(as_object, transports[:FOCI_LIMIT])
        if each.get("type") in ("livekit", "m.livekit")
    ]
    return tuple(url for url in found if url)


def read_certificate(der: bytes, wanted: str) -> Certificate | None:
    """None for what is no certificate."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        issuer = certificate.issuer
        names = _names(certificate)
    except (ValueError, UnsupportedAlgorithm):
        return None
    attributes = issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME) + issuer.get_attributes_for_oid(
        NameOID.COMMON_NAME
    )
    return Certificate(
        issuer=" ".join(str(each.value) for each in attributes)[:TEXT_LIMIT],
        expires_at=certificate.not_valid_after_utc.timestamp(),
        for_name=any(_matches(name, wanted) for name in names),
        self_signed=issuer == certificate.subject,
    )


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return alternative.get_values_for_type(x509.DNSName) + [
        str(address) for address in alternative.get_values_for_type(x509.IPAddress)
    ]


def _matches(name: str, wanted: str) -> bool:
    """RFC 6125, as far as Python's own check goes: a star stands for one whole label at the left."""
    name, wanted = name.lower(), wanted.lower()
    if name.startswith("*."):
        return wanted.partition(".")[2] == name[2:]
    return name == wanted


def key_problem(document: dict[str, Any], server_name: str, pinned: str) -> str:
    """Why the published keys are not those of the list; empty when they are.

    https://spec.matrix.org/v1.16/server-server-api/#publishing-keys. `pinned` is `ed25519:ID BASE64`.
    """
    key_id, _, key = pinned.partition(" ")
    published = as_text(as_object(as_object(document.get("verify_keys")).get(key_id)).get("key"))
    if document.get("server_name") != server_name:
        return "other_name_of_keys"
    if not published or published.rstrip("=") != key.strip().rstrip("="):
        return "other_key"
    signature = as_text(as_object(as_object(document.get("signatures")).get(server_name)).get(key_id))
    signed = {name: value for name, value in document.items() if name not in ("signatures", "unsigned")}
    canonical = json.dumps(signed, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    try:
        Ed25519PublicKey.from_public_bytes(_unpadded(published)).verify(_unpadded(signature), canonical)
    except (InvalidSignature, ValueError, binascii.Error):
        return "unsigned_keys"
    return ""


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _json(answer: Answer) -> dict[str, Any]:
    try:
        return as_object(answer.json())
    except PeerError:
        return {}
