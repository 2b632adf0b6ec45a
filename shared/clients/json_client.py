"""Get JSON over HTTPS, with limits on size, time and pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin

import msgspec

from shared.clients.http import (
    BearerAuth,
    Deadline,
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
from shared.text import clean

if TYPE_CHECKING:
    import requests

__all__ = ["JsonClient"]

_Item = TypeVar("_Item")

# Requests for one document, if the service is busy.
MAX_ATTEMPTS = 2
# Statuses of a busy service, which may ask for a pause with Retry-After.
_BUSY = frozenset({429, 503})
# Seconds; a Retry-After of 0 would lead to a busy loop.
MIN_PAUSE = 1.0
# Seconds.
CONNECT_TIMEOUT = 5.0
_AMBIGUOUS = re.compile(r"[\\\x00-\x20\x7f]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass
class JsonClient:
    """Gets JSON; blocking, and safe to use from several threads."""

    session: requests.Session
    rate_limiter: RateLimiter
    tokens: TokenSource | None  # None for anonymous requests.
    _: KW_ONLY
    max_bytes: int = 10_000_000  # Decompressed; a page of Azure Resource Manager has 100,000s.
    max_pages: int = 500  # Those of Azure Resource Manager have 100 entities.
    read_timeout: float = 15.0  # Seconds.

    def arm_items(
        self, url: str, items_type: type[list[_Item]], deadline: Deadline
    ) -> Iterator[_Item]:
        """Yield the items of a list of Azure Resource Manager. Raises SourceError as `pages`."""
        for page in self.pages(url, lambda page: _member(page, "nextLink"), deadline):
            try:
                yield from msgspec.convert(_member(page, "value"), items_type)
            except msgspec.ValidationError as exc:
                where = _without_query(url)
                raise SourceError(f"{where}: the response is not a valid page: {exc}") from exc

    def pages(self, url: str, next_link: Callable[[Any], Any], deadline: Deadline) -> Iterator[Any]:
        """Yield the document at a URL and its further pages, until `next_link` returns none.

        Raises SourceError as `get`; also for a link to another origin, which must not get the
        token, and for a link that was followed before.
        """
        seen = {url}
        for _ in range(self.max_pages):
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
        raise SourceError(f"{_without_query(url)}: more than {self.max_pages} pages")

    def get(self, url: str, deadline: Deadline) -> Any:
        """Return the document at a URL.

        A busy service is asked once more after the pause that it asks for, in which the rate
        limiter lets no request through. Raises SourceError with status and message.
        """
        where = _without_query(url)
        for _ in range(MAX_ATTEMPTS):
            response, body = self._request(url, deadline)
            if response.status_code == 200:
                return _decode(where, body)
            words = f"{response.status_code} {' '.join(parse_error(body))}".split()
            error = f"{where}: {' '.join(words)}"
            asked = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
            if response.status_code not in _BUSY or asked is None:
                break
            pause = max(asked, MIN_PAUSE)
            self.rate_limiter.pause(pause, f"{error}; retry after {pause:g} s")
        raise SourceError(error)

    def _request(self, url: str, deadline: Deadline) -> tuple[requests.Response, bytes]:
        where = _without_query(url)
        try:
            token = None if self.tokens is None else self.tokens.get()
        except TokenError as exc:
            raise SourceError(f"{where}: {exc}") from exc
        with self.rate_limiter.acquire(deadline):
            left = max(0.001, deadline.left())  # A time-out of 0 is a ValueError.
            try:
                with (
                    translate_errors(),
                    self.session.get(
                        url,
                        auth=NoAuth() if token is None else BearerAuth(token),
                        headers={"Accept": "application/json"},
                        timeout=(min(CONNECT_TIMEOUT, left), min(self.read_timeout, left)),
                        allow_redirects=False,
                        stream=True,
                    ) as response,
                ):
                    body = read_body(response, self.max_bytes, deadline)
            except HttpError as exc:
                text = str(exc) if deadline.left() else "no complete response before the deadline"
                raise SourceError(f"{where}: {text}") from exc
        if response.status_code == 401 and self.tokens is not None and token is not None:
            self.tokens.discard(token)  # The next tick gets a new one.
        return response, body


def _decode(where: str, body: bytes) -> Any:
    try:
        # Unlike msgspec, it reads NaN, half of a surrogate pair, a byte order mark and UTF-16: one
        # odd value must not lose the others.
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise SourceError(f"{where}: the response is not valid JSON: {exc}") from exc


def _member(page: Any, name: str) -> Any:
    return page.get(name) if isinstance(page, dict) else None


def _follow(url: str, link: Any) -> str:
    """Return the URL of the next page; on the same origin, since it gets the token."""
    # A backslash or a control character means one thing to urljoin and another to urllib3.
    if isinstance(link, str) and not _AMBIGUOUS.search(link):
        with suppress(ValueError):  # Not a valid URL.
            following = urljoin(url, link)
            if _origin(following) == _origin(url):
                return following
    found = clean(_without_query(str(link)), 300)
    raise SourceError(f"{_without_query(url)}: the next link is not a URL of this origin: {found}")


def _origin(url: str) -> tuple[object, ...]:
    """Return what URLs of one server share; the links of Azure Resource Manager name its port."""
    from urllib3.util import parse_url

    # As urllib3 reads it, which is what connects.
    parts = parse_url(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme or "")
    return parts.scheme, parts.host, port, parts.auth


def _without_query(url: str) -> str:
    """Return the URL for an error text: a query string may contain keys."""
    return url.partition("?")[0]
