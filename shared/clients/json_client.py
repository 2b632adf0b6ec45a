"""Get JSON over HTTPS, with limits on size, time and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import msgspec

from shared.clients.deadline import Deadline
from shared.clients.http import (
    BearerAuth,
    HttpError,
    NoAuth,
    TokenSource,
    parse_error,
    parse_retry_after,
    read_body,
    translate_errors,
)
from shared.clients.rate_limiter import RateLimiter
from shared.errors import SourceError, TokenError

if TYPE_CHECKING:
    import requests

__all__ = ["JsonClient", "Limits"]

# Seconds; a Retry-After of 0 would lead to a busy loop.
_MIN_PAUSE = 1.0
# Statuses of a busy service, which may ask for a pause with Retry-After.
_BUSY = frozenset({429, 503})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Limits(msgspec.Struct, frozen=True):
    """Limits of one response, and of a list."""

    max_bytes: int = 10_000_000  # Decompressed; a page of Azure Resource Manager has 100,000s.
    max_pages: int = 500  # Those of Azure Resource Manager have 100 entities.
    # Seconds, unless the deadline is nearer: to connect, and between two bytes.
    connect_timeout: float = 5.0
    read_timeout: float = 15.0


_DEFAULT_LIMITS = Limits()


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    pause: float | None  # Seconds that a busy service asked for.

    def __str__(self) -> str:
        words = (str(self.status), *parse_error(self.body))
        return " ".join(" ".join(words).split())


class JsonClient:
    """Gets JSON; blocking, and safe to use from several threads."""

    def __init__(
        self,
        session: requests.Session,
        rate_limiter: RateLimiter,
        tokens: TokenSource | None,
        *,
        limits: Limits = _DEFAULT_LIMITS,
    ) -> None:
        """Without `tokens`, requests are anonymous."""
        self._session = session
        self._rate_limiter = rate_limiter
        self._tokens = tokens
        self._limits = limits

    def pages(self, url: str, next_link: Callable[[Any], Any], deadline: Deadline) -> Iterator[Any]:
        """Yield the document at a URL and its further pages, until `next_link` returns none.

        Raises SourceError as `get`; also for a link to another origin, which must not get the
        token, and for a link that was followed before.
        """
        seen = {url}
        for _ in range(self._limits.max_pages):
            page = self.get(url, deadline)
            yield page
            link = next_link(page)
            if link is None or link == "":
                return
            following = _follow(url, link)
            if following in seen:
                raise SourceError(f"{_without_query(url)}: pagination loop")
            url = following
            seen.add(url)
        raise SourceError(f"{_without_query(url)}: more than {self._limits.max_pages} pages")

    def get(self, url: str, deadline: Deadline) -> Any:
        """Return the document at a URL.

        A busy service is asked once more after the pause that it asks for, in which the rate
        limiter lets no request through. Raises SourceError with status and message.
        """
        answer = self._request(url, deadline)
        if answer.pause is not None:
            answer = self._request(url, deadline)
        if answer.status != 200:
            raise SourceError(f"{_without_query(url)}: {answer}")
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            text = f"{_without_query(url)}: the response is not valid JSON: {exc}"
            raise SourceError(text) from exc

    def _request(self, url: str, deadline: Deadline) -> _Answer:
        where = _without_query(url)
        try:
            token = None if self._tokens is None else self._tokens.get()
        except TokenError as exc:
            raise SourceError(f"{where}: {exc}") from exc
        with self._rate_limiter.acquire(deadline):
            try:
                answer = self._send(url, token, deadline)
            except HttpError as exc:
                text = str(exc) if deadline.left() else "no complete response before the deadline"
                raise SourceError(f"{where}: {text}") from exc
        if answer.status == 401 and self._tokens is not None and token is not None:
            self._tokens.discard(token)  # The next tick gets a new one.
        if answer.pause is not None:
            why = f"{where}: {answer}; retry after {answer.pause:g} s"
            self._rate_limiter.pause(answer.pause, why)
        return answer

    @translate_errors()
    def _send(self, url: str, token: str | None, deadline: Deadline) -> _Answer:
        left = max(0.001, deadline.left())  # A time-out of 0 is a ValueError.
        with self._session.get(
            url,
            auth=NoAuth() if token is None else BearerAuth(token),
            stream=True,
            timeout=(
                min(self._limits.connect_timeout, left),
                min(self._limits.read_timeout, left),
            ),
            allow_redirects=False,
            headers={"Accept": "application/json"},
        ) as response:
            body = read_body(response, self._limits.max_bytes, deadline)
        pause = None
        if response.status_code in _BUSY:
            pause = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return _Answer(
            response.status_code, body, None if pause is None else max(pause, _MIN_PAUSE)
        )


def _follow(url: str, link: Any) -> str:
    """Return the URL of the next page; on the same origin, since it gets the token."""
    where = _without_query(url)
    if not isinstance(link, str):
        raise SourceError(f"{where}: the next link is not a string")
    try:
        following = urljoin(url, link)
        same = _origin(following) == _origin(url)
    except ValueError as exc:
        raise SourceError(f"{where}: the next link is not a valid URL: {exc}") from exc
    if not same:
        other = _without_query(following)
        raise SourceError(f"{where}: the next link leads to another origin: {other}")
    return following


def _origin(url: str) -> tuple[object, ...]:
    """Return what URLs of one server share; the links of Azure Resource Manager name its port."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port, "@" in parts.netloc


def _without_query(url: str) -> str:
    """Return the URL for an error text: a query string may contain keys."""
    return url.partition("?")[0]
