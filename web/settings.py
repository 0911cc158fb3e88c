"""What an operator may set about the pages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


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
    dev_users: dict[str, DevUser] = Field(default_factory=dict, description="Refused unless the service runs --dev")
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses or networks whose X-Forwarded-For is believed, for the rate limits"
    )
