"""The app's identity and the tokens it gets, through the real azure-identity."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.errors import TokenError

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

__all__ = ["CREDENTIALS", "CREDENTIAL_OPTIONS", "Tokens", "make_credential"]

# METRICS_CREDENTIAL -> class of azure.identity.
CREDENTIALS = {
    "managed_identity": "ManagedIdentityCredential",
    "environment": "EnvironmentCredential",
    "azure_cli": "AzureCliCredential",
}
# Seconds before its end at which a token is replaced; azure-core's policy has the same.
_REFRESH_BEFORE = 300
# Seconds until a replacement that was not to be had is asked for again; and a first token.
_REFRESH_PAUSE = 30
_FAILURE_PAUSE = 15
# Seconds, and tries after the first: the identity endpoint is next door, or not there at all, and
# a sample has half a minute.
CREDENTIAL_OPTIONS: dict[str, Any] = {
    "connection_timeout": 5,
    "read_timeout": 10,
    "retry_total": 1,
}
_SENDABLE = re.compile(r"[!-~]+")


def make_credential(kind: str, client_id: str | None) -> TokenCredential:
    """A new credential, with nothing remembered; `kind` is a key of CREDENTIALS."""
    import azure.identity

    if kind == "managed_identity":
        return azure.identity.ManagedIdentityCredential(client_id=client_id, **CREDENTIAL_OPTIONS)
    credential: TokenCredential = getattr(azure.identity, CREDENTIALS[kind])()
    return credential


class Tokens:
    """Bearer tokens for one audience, asked for once and used until shortly before their end.

    Safe to use from several threads; they wait for one request instead of making one each.
    """

    def __init__(
        self,
        credential: Callable[[], TokenCredential],
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._make = credential
        self._clock = clock
        # The audience keeps its trailing slash: https://monitoring.azure.com//.default.
        self._scope = f"{audience}/.default"
        self._lock = threading.Lock()
        self._credential: TokenCredential | None = None
        self._token: AccessToken | None = None
        self._refresh_at = 0.0  # By the clock.
        self._failure: tuple[float, str] | None = None  # Until when it is remembered.

    def get(self) -> str:
        """The current token. Raises TokenError when there is none to be had."""
        with self._lock:
            token = self._token
            if self._failure is not None and self._clock() < self._failure[0]:
                raise TokenError(self._failure[1])
            if token is None or self._clock() >= self._refresh_at:
                token = self._token = self._ask(token)
            return token.token

    def discard(self, refused: str) -> None:
        """Forget a token that was refused, so that the next one is new.

        azure-identity keeps tokens too and would give the same one again, so the credential goes
        with it. A token that was replaced meanwhile stays.
        """
        with self._lock:
            if self._token is not None and self._token.token == refused:
                self._token = self._credential = None

    def _ask(self, current: AccessToken | None) -> AccessToken:
        from azure.core.exceptions import AzureError

        try:
            if self._credential is None:
                self._credential = self._make()
            token = self._credential.get_token(self._scope)
            if not _SENDABLE.fullmatch(token.token):
                # The header would be refused with a text that quotes it.
                raise ValueError("it gave a token that no header can hold")  # noqa: TRY301
        except (AzureError, ValueError) as exc:
            if current is not None and current.expires_on > self._clock():
                self._refresh_at = min(self._clock() + _REFRESH_PAUSE, current.expires_on)
                return current
            name = "no credential" if self._credential is None else type(self._credential).__name__
            why = f"{name}: {exc}"
            self._token = None
            self._failure = (self._clock() + _FAILURE_PAUSE, why)
            raise TokenError(why) from exc
        self._failure = None
        self._refresh_at = token.expires_on - _REFRESH_BEFORE
        return token
