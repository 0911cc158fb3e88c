"""The security headers of every answer, and the Content-Security-Policy of the call page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yarl import URL

from web.settings import ANY_FOCUS

COMMON: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NEVER_STORED: Mapping[str, str] = {"Cache-Control": "no-store"}
# Names change with the content (Vite puts a hash into them).
FOR_EVER: Mapping[str, str] = {"Cache-Control": "public, max-age=31536000, immutable"}
# What is no page loads nothing and is framed by nobody.
INERT_CSP = "default-src 'none'; frame-ancestors 'none'"
# What the page may use of the machine: itself, and nobody framed inside it.
PERMISSIONS = (
    "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self), "
    "picture-in-picture=(self), screen-wake-lock=(self), geolocation=(), payment=(), usb=(), "
    "serial=(), hid=(), midi=(), accelerometer=(), gyroscope=(), magnetometer=()"
)


def page_csp(nonce: str, livekit_url: str, frame_ancestors: Sequence[str], foci: Sequence[str] = ()) -> str:
    """No inline script or style without the nonce, nothing from elsewhere but the relay.

    `foci` are relays of others (`WebSettings.foci`), which calls across homeservers connect to.
    `blob:` workers are for effects on browsers without a frame callback; `wasm-unsafe-eval` compiles WebAssembly and
    evaluates no script. https://www.w3.org/TR/CSP3/
    """
    ancestors = " ".join(["'self'", *frame_ancestors])
    relays = " ".join(dict.fromkeys([relay_origins(livekit_url), *(focus_origins(focus) for focus in foci)]))
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self' 'wasm-unsafe-eval'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "media-src 'self' blob: mediastream:",
            f"connect-src 'self' {relays}",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "object-src 'none'",
            f"frame-ancestors {ancestors}",
        )
    )


def relay_origins(livekit_url: str) -> str:
    """The relay's origin for its WebSocket and for the HTTP request with which clients ask why one failed."""
    url = URL(livekit_url)
    secure = url.scheme == "wss"
    port = "" if url.is_default_port() else f":{url.port}"
    authority = f"{url.host_subcomponent}{port}"
    return f"{'wss' if secure else 'ws'}://{authority} {'https' if secure else 'http'}://{authority}"


def focus_origins(focus: str) -> str:
    """For the requests to a focus and the WebSocket of its relay. A relay of another origin is an entry of its own."""
    if focus == ANY_FOCUS:
        return "https: wss:"
    return f"{focus} {focus.replace('http', 'ws', 1)}"


def page_headers(
    nonce: str, livekit_url: str, frame_ancestors: Sequence[str], foci: Sequence[str] = ()
) -> dict[str, str]:
    return {
        **COMMON,
        **NEVER_STORED,
        "Content-Security-Policy": page_csp(nonce, livekit_url, frame_ancestors, foci),
        "Permissions-Policy": PERMISSIONS,
    }


def plain_headers() -> dict[str, str]:
    """For JSON and errors."""
    return {**COMMON, **NEVER_STORED, "Content-Security-Policy": INERT_CSP}


def asset_headers() -> dict[str, str]:
    return {**COMMON, **FOR_EVER, "Cross-Origin-Resource-Policy": "same-origin"}
