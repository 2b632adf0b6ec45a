"""Issue and validate access tokens: JSON Web Tokens, signed with a key of the process."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection
from typing import Any, NamedTuple

import jwt

from .answers import RefusalError
from .time_grain import second_stamp

__all__ = ["SYSTEM_ASSIGNED", "TENANT_ID", "Identity", "Token", "Tokens", "user_assigned"]

TENANT_ID = "7e4a1b52-0c3d-4f6e-9a8b-5d2c1f0e3b47"
_PRINCIPALS = uuid.UUID("5b0f6c1e-2d4a-4b8c-8e7f-9a1b3c5d7e90")
_ALGORITHM = "HS256"

# The times are compared with the emulator's clock, not by PyJWT. "Not before" is not compared at
# all, so that a clock set back leaves the tokens valid that clients hold.
_SIGNATURE_ONLY: Any = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class Identity(NamedTuple):
    """Holds the application (client) ID and the principal (object) ID of a managed identity."""

    client_id: str
    principal_id: str


SYSTEM_ASSIGNED = Identity(
    client_id="c1d2e3f4-0000-4000-8000-000000000001",
    principal_id="0b1ec71d-0000-4000-8000-000000000001",
)


def user_assigned(client_id: str) -> Identity:
    """Return the identity of a client ID, which always has the same principal ID."""
    return Identity(client_id, str(uuid.uuid5(_PRINCIPALS, client_id.lower())))


class Token(NamedTuple):
    """Holds an access token and the epoch second at which it expires."""

    access_token: str
    expires_on: int


class Tokens:
    """Issues tokens and validates them."""

    def __init__(self, life_seconds: int) -> None:
        self._life = life_seconds
        self._key = secrets.token_bytes(32)

    def issue(self, identity: Identity, audience: str, now: float) -> Token:
        """Return a token for the audience exactly as asked for, valid from now (epoch seconds)."""
        issued = int(now)
        expires = issued + self._life
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{TENANT_ID}/",
            "iat": issued,
            "nbf": issued,
            "exp": expires,
            "appid": identity.client_id,
            "oid": identity.principal_id,
            "sub": identity.principal_id,
            "tid": TENANT_ID,
            "idtyp": "app",
            "ver": "1.0",
        }
        return Token(jwt.encode(claims, self._key, _ALGORITHM), expires)

    def principal(
        self,
        authorization: str | None,
        audiences: Collection[str],
        now: float,
        code: str = "InvalidAudience",
    ) -> str:
        """Return the principal ID of an Authorization header's token for one of the audiences.

        Raises RefusalError (401), for another audience with this code. Of ingestion's bodies only
        the code InvalidAudience is known; the rest is Azure Resource Manager's.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            missing = "Authentication failed. The 'Authorization' header is missing."
            raise _unauthorized("AuthenticationFailed", missing)
        try:
            claims: dict[str, Any] = jwt.decode(
                token.strip(), self._key, [_ALGORITHM], options=_SIGNATURE_ONLY
            )
        except jwt.InvalidTokenError as exc:
            raise _unauthorized(
                "InvalidAuthenticationToken", "The access token is invalid."
            ) from exc
        if claims["exp"] <= now:
            raise _unauthorized(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{second_stamp(claims['exp'])}'"
                f" is earlier than current UTC time '{second_stamp(now)}'.",
            )
        if claims["aud"] not in audiences:
            allowed = ",".join(f"'{each}'" for each in audiences)
            among = "match" if len(audiences) == 1 else "match with one of the allowed audiences"
            raise _unauthorized(
                code,
                "The access token has been obtained for wrong audience or resource"
                f" '{claims['aud']}'. It should exactly {among} {allowed}.",
            )
        return str(claims["oid"])


def _unauthorized(code: str, message: str) -> RefusalError:
    return RefusalError(401, code, message, {"WWW-Authenticate": "Bearer"})
