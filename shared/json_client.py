"""JSON over HTTPS from where an operator points it, with bounds on size and time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
import requests
import urllib3

from shared.errors import SourceError, TokenError
from shared.gate import Gate
from shared.http import Anonymous, Bearer, TokenSource, error_of

__all__ = ["Bounds", "JsonClient"]

_CHUNK = 65_536
_PORTS = {"http": 80, "https": 443}

_T = TypeVar("_T")
_Result = TypeVar("_Result")


class Bounds(msgspec.Struct, frozen=True):
    """What an answer may cost."""

    most_bytes: int = 10_000_000  # Decompressed; a page of ARM has some hundred thousand.
    most_pages: int = 500  # ARM's have 100 entities.
    # Seconds: to connect, between two bytes, and for the whole body.
    connect: float = 5.0
    read: float = 15.0
    total: float = 30.0


_BOUNDS = Bounds()


class JsonClient:
    """Gets JSON; blocking and safe to use from several threads."""

    def __init__(
        self,
        session: requests.Session,
        gate: Gate,
        tokens: TokenSource | None,
        *,
        bounds: Bounds = _BOUNDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._gate = gate
        self._tokens = tokens
        self._bounds = bounds
        self._clock = clock

    def each(self, function: Callable[[_T], _Result], items: Iterable[_T]) -> list[_Result]:
        """The function, which may use this client, of each item; as many at once as may be."""
        return self._gate.each(function, items)

    def pages(self, url: str, next_link: Callable[[Any], Any]) -> Iterator[Any]:
        """Yield the answer and those that follow it, until `next_link` of one finds none.

        Raises SourceError; also for a link to another origin, which the token must not go to, and
        for a link that was followed before.
        """
        seen = {url}
        for _ in range(self._bounds.most_pages):
            page = self.get(url)
            yield page
            link = next_link(page)
            if link is None or link == "":
                return
            following = _following(url, link)
            if following in seen:
                raise SourceError(f"{_shown(url)}: the pages go round in a circle")
            url = following
            seen.add(url)
        raise SourceError(f"{_shown(url)}: more than {self._bounds.most_pages} pages")

    def get(self, url: str) -> Any:
        """The JSON at a URL. Raises SourceError with status and message of a refusal."""
        self._gate.wait()
        try:
            token = None if self._tokens is None else self._tokens.get()
            with self._session.get(
                url,
                auth=Anonymous() if token is None else Bearer(token),
                stream=True,
                timeout=(self._bounds.connect, self._bounds.read),
                allow_redirects=False,
                headers={"Accept": "application/json"},
            ) as response:
                body = self._read(url, response)
        except TokenError as exc:
            raise SourceError(f"{_shown(url)}: {exc}") from exc
        # The body is read from urllib3 itself, whose errors nobody translates.
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            text = re.sub(r"\?\S+", "?…", str(exc))
            raise SourceError(f"{_shown(url)}: {type(exc).__name__}: {text}") from exc
        if response.status_code == 401 and self._tokens is not None and token is not None:
            self._tokens.discard(token)  # The next tick comes with a new one.
        if response.status_code != 200:
            words = (str(response.status_code), *error_of(body))
            raise SourceError(f"{_shown(url)}: {' '.join(' '.join(words).split())}")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise SourceError(f"{_shown(url)}: not JSON: {exc}") from exc

    def _read(self, url: str, response: requests.Response) -> bytes:
        deadline = self._clock() + self._bounds.total
        body = bytearray()
        # Whatever has come, without waiting for a whole chunk: a trickle would never be cut off.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._bounds.most_bytes:
                raise SourceError(f"{_shown(url)}: more than {self._bounds.most_bytes} bytes")
            if self._clock() > deadline:
                raise SourceError(f"{_shown(url)}: not read within {self._bounds.total:g} s")
        return bytes(body)


def _following(url: str, link: Any) -> str:
    """The address of the next page; on the same origin, for the token goes there."""
    if not isinstance(link, str):
        raise SourceError(f"{_shown(url)}: the link to the next page is not text")
    try:
        following = urljoin(url, link)
        same = _origin(following) == _origin(url)
    except ValueError as exc:
        raise SourceError(f"{_shown(url)}: the link to the next page: {exc}") from exc
    if not same:
        raise SourceError(f"{_shown(url)}: the next page is on another host: {_shown(following)}")
    return following


def _origin(url: str) -> tuple[object, ...]:
    """What two addresses share that lead to one server; ARM's links name its port."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), "@" in parts.netloc


def _shown(url: str) -> str:
    """For a log: keys are often in the query."""
    return url.partition("?")[0]
