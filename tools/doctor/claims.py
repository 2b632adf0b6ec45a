"""What a token says of its bearer; read without verifying it, which only its audience can."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Claims", "read_claims"]


@dataclass(frozen=True, slots=True)
class Claims:
    """Who a token is of and what it is for; empty where it does not say. Times in epoch seconds."""

    audience: str = ""
    object_id: str = ""
    application_id: str = ""
    tenant: str = ""
    issued: float | None = None
    expires: float | None = None
    is_user: bool = False

    @property
    def bearer(self) -> str:
        """The bearer in words, for a finding."""
        known = {
            "object ID": self.object_id,
            "application ID": self.application_id,
            "tenant": self.tenant,
        }
        parts = [f"{name} {text}" for name, text in known.items() if text]
        return ", ".join(parts) or "a token that does not say whose it is"


def read_claims(token: str) -> Claims:
    """The claims of a JSON Web Token; none of them where it is something else."""
    payload = _payload(token)

    def text(name: str) -> str:
        value = payload.get(name)
        return value if isinstance(value, str) else ""

    def number(name: str) -> float | None:
        value = payload.get(name)
        return float(value) if isinstance(value, int | float) else None

    return Claims(
        audience=text("aud"),
        object_id=text("oid"),
        application_id=text("appid") or text("azp"),
        tenant=text("tid"),
        issued=number("iat"),
        expires=number("exp"),
        # A token of a user has scopes, one of an application has none.
        is_user=text("idtyp") == "user" or bool(text("scp")),
    )


def _payload(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        payload = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}
