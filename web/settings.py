"""What an operator may set about the pages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from yarl import URL

ANY_FOCUS = "https:"  # as Content-Security-Policy spells it


class DevUser(BaseModel):
    """Somebody who may sign in with a password under `--dev`; never anywhere else."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    password: SecretStr
    display_name: str
    user_id: str | None = Field(
        default=None, description="Matrix user that they are; without one they are a guest by link"
    )


class WebSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    frame_ancestors: tuple[str, ...] = Field(
        default=(), description="Origins of the Matrix clients that may frame the widget"
    )
    foci: tuple[str, ...] = Field(
        default=(),
        description="Origins of other organisations' relays that the widget may connect to in calls across homeservers."
        " “https:” means any that somebody in the call names: they are shown the person's OpenID token, so list those "
        "you know",
    )
    dev_users: dict[str, DevUser] = Field(default_factory=dict, description="Refused unless the service runs --dev")
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-For is believed, for the rate limits"
    )

    @field_validator("foci")
    @classmethod
    def _origins(cls, foci: tuple[str, ...]) -> tuple[str, ...]:
        for focus in foci:
            if focus != ANY_FOCUS and not _is_origin(focus):
                raise ValueError(f"“{focus}” is neither an origin such as https://rtc.example.org nor “{ANY_FOCUS}”")
        return foci


def _is_origin(text: str) -> bool:
    try:
        url = URL(text)
        return url.scheme in ("https", "http") and str(url.origin()) == text
    except ValueError:
        return False
