"""The identity of the app, through azure-identity, and a cache of its tokens."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from shared.clients.http import describe_error
from shared.clients.sessions import open_transport
from shared.errors import TokenError
from shared.text import clean

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential

__all__ = [
    "CREDENTIALS",
    "ScopedCredential",
    "TokenCache",
    "make_credential",
    "make_default_credential",
    "request_token",
]

# METRICS_CREDENTIAL -> class of azure.identity.
CREDENTIALS = {
    "managed_identity": "ManagedIdentityCredential",
    "environment": "EnvironmentCredential",
    "azure_cli": "AzureCliCredential",
}
# Seconds, and retries: the identity endpoint is on the same host, and a sample has 35 s.
_CONNECT_TIMEOUT, _READ_TIMEOUT, _RETRIES = 5, 10, 1
# Seconds before its expiry at which a token is replaced; the same as in azure-core.
_REFRESH_BEFORE = 300
# Seconds after a failure until the next request: with a token that is still valid, and without.
_REFRESH_RETRY = 30
_FAILURE_RETRY = 15
# What a header can hold.
_TOKEN = re.compile(r"[!-~]+")


def make_credential(
    kind: str, client_id: str | None, resource_id: str | None = None
) -> TokenCredential:
    """Return a new credential without cached tokens; `kind` is a key of CREDENTIALS.

    `client_id` or `resource_id` is that of a user-assigned managed identity.
    """
    import azure.identity

    options = {} if kind == "azure_cli" else _options()
    if kind == "managed_identity":
        options["client_id"] = client_id
        if resource_id:
            options["identity_config"] = {"resource_id": resource_id}
    credential: TokenCredential = getattr(azure.identity, CREDENTIALS[kind])(**options)
    return credential


def make_default_credential(client_id: str | None) -> TokenCredential:
    """Return the credential of the Functions host for a connection that names none."""
    import azure.identity

    return azure.identity.DefaultAzureCredential(managed_identity_client_id=client_id, **_options())


def _options() -> dict[str, Any]:
    return {
        "transport": open_transport(1, _CONNECT_TIMEOUT, _READ_TIMEOUT),
        "retry_total": _RETRIES,
    }


def request_token(credential: TokenCredential, scope: str) -> AccessToken:
    """Return a token of a credential. Raises TokenError, whatever the credential raises."""
    name = type(getattr(credential, "credential", credential)).__name__
    try:
        token = credential.get_token(scope)
        valid = _TOKEN.fullmatch(token.token)
    except Exception as exc:
        raise TokenError(f"{name}: {_text_of(exc)}") from exc
    if not valid:  # The text of requests would contain it.
        raise TokenError(f"{name}: the token has characters that a header cannot hold")
    return token


@dataclass(repr=False)
class ScopedCredential:
    """A credential that serves one scope.

    An SDK follows the audience of a 401 challenge, which a server could name to get a token for
    another service.
    """

    credential: TokenCredential
    scope: str

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        """Return a token. Raises ClientAuthenticationError for another scope."""
        from azure.core.exceptions import ClientAuthenticationError

        if scopes != (self.scope,):
            found = clean(" ".join(scopes), 300)
            raise ClientAuthenticationError(f"a token for {found} was refused: not {self.scope}")
        return self.credential.get_token(self.scope)


@dataclass(repr=False)
class TokenCache:
    """Bearer tokens for one audience, requested once and kept until shortly before their expiry.

    Safe to use from several threads; they wait for one request instead of sending one each.
    """

    make_credential: Callable[[], TokenCredential]
    audience: str
    _: KW_ONLY
    clock: Callable[[], float] = time.time  # Seconds since 1970, as `expires_on`.
    monotonic: Callable[[], float] = time.monotonic  # For waits.
    _credential: TokenCredential | None = field(init=False, default=None)
    _token: AccessToken | None = field(init=False, default=None)
    _failure: str = field(init=False, default="")
    _retry_at: float = field(init=False, default=0.0)  # After a failure, no request before.
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def get(self) -> str:
        """Return the current token. Raises TokenError."""
        current = self._token
        valid = current is not None and self._lifetime(current, margin=0) > 0
        # While one thread renews a token that is still valid, the others use it.
        if not self._lock.acquire(blocking=not valid):
            assert current is not None  # noqa: S101 (it is valid)
            return current.token
        try:
            may_request = self.monotonic() >= self._retry_at
            if self._token is None and not may_request:
                raise TokenError(self._failure)
            if self._token is None or (may_request and self._lifetime(self._token) <= 0):
                self._token = self._request()
            return self._token.token
        finally:
            self._lock.release()

    def discard(self, refused: str) -> None:
        """Forget a token that a service refused, so that the next one is new.

        azure-identity would return the same token from its own cache, so the credential is
        replaced too. A token that has replaced the refused one stays.
        """
        if not self._is_current(refused):
            return  # Without a wait for the thread that requests a new one.
        with self._lock:
            if self._is_current(refused):
                self._token = self._credential = None
                self._retry_at = 0.0

    def _is_current(self, token: str) -> bool:
        current = self._token
        return current is not None and current.token == token

    def _request(self) -> AccessToken:
        """Return a new token, or the current one if there is no new one and it is still valid."""
        try:
            if self._credential is None:
                self._credential = self._new_credential()
            # The audience keeps its trailing slash: https://monitoring.azure.com//.default.
            return request_token(self._credential, f"{self.audience}/.default")
        except TokenError as exc:
            now, current = self.monotonic(), self._token
            if current is not None and (left := self._lifetime(current, 0)) > 0:
                self._retry_at = now + min(_REFRESH_RETRY, left)
                return current
            self._token, self._failure = None, str(exc)
            self._retry_at = now + _FAILURE_RETRY
            raise

    def _new_credential(self) -> TokenCredential:
        try:
            return self.make_credential()
        except Exception as exc:
            raise TokenError(f"the credential cannot be created: {describe_error(exc)}") from exc

    def _lifetime(self, token: AccessToken, margin: float = _REFRESH_BEFORE) -> float:
        return token.expires_on - margin - self.clock()


def _text_of(exc: Exception) -> str:
    """Return what azure-identity says; for an odd answer it raises whatever its parsing does."""
    from azure.core.exceptions import AzureError

    if isinstance(exc, AzureError | OSError):
        return describe_error(exc)
    text = f"{type(exc).__name__}: {describe_error(exc)}"
    return f"the identity endpoint returned an unexpected answer ({text})"
