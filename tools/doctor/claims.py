"""The claims of a token, read without verifying it, which only its audience can do."""

from __future__ import annotations

from typing import Any, NamedTuple

import jwt

__all__ = ["Claims", "read_claims"]

_TEXTS, _TIMES = ("aud", "oid", "tid"), ("iat", "exp")


class Claims(NamedTuple):
    """Whose token it is, and for what; empty if it does not say. Times in seconds since 1970."""

    audience: str = ""
    object_id: str = ""
    tenant: str = ""
    issued: float | None = None
    expires: float | None = None
    is_user: bool = False

    @property
    def bearer(self) -> str:
        """Whose token it is, in words."""
        known = {"object ID": self.object_id, "tenant": self.tenant}
        parts = [f"{name} {text}" for name, text in known.items() if text]
        return ", ".join(parts) or "an identity that the token does not name"


def read_claims(token: str) -> Claims:
    """Return the claims of a JSON Web Token, or none of them if it is something else."""
    try:
        payload: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError, RecursionError):
        return Claims()
    texts = [value if isinstance(value := payload.get(name), str) else "" for name in _TEXTS]
    times = [
        float(value) if isinstance(value := payload.get(name), int | float) else None
        for name in _TIMES
    ]
    # A token of a user has scopes, one of an application has none.
    is_user = payload.get("idtyp") == "user" or bool(payload.get("scp"))
    return Claims(texts[0], texts[1], texts[2], times[0], times[1], is_user)
