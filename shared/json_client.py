"""JSON over HTTPS from where an operator points it, with bounds on size and time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
import requests

from shared.errors import SourceError, TokenError
from shared.gate import Gate
from shared.http import Bearer, TokenSource, error_of

__all__ = ["JsonClient"]

# Bytes of an answer, decompressed; a page of ARM has some hundred thousand.
_MOST_BYTES = 10_000_000
# Pages that are followed; ARM's have 100 entities.
_MOST_PAGES = 500
# Seconds: to connect, between two bytes, and for the whole answer.
_CONNECT_TIMEOUT = 5.0
_READ_TIMEOUT = 15.0
_TOTAL_TIMEOUT = 30.0
_CHUNK = 65_536


_T = TypeVar("_T")
_Result = TypeVar("_Result")


class JsonClient:
    """Gets JSON; blocking and safe to use from several threads."""

    def __init__(
        self,
        session: requests.Session,
        gate: Gate,
        tokens: TokenSource | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._gate = gate
        self._tokens = tokens
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
        for _ in range(_MOST_PAGES):
            page = self.get(url)
            yield page
            link = next_link(page)
            if link is None or link == "":
                return
            if not isinstance(link, str):
                raise SourceError(f"{url}: the link to the next page is not text")
            following = urljoin(url, link)
            if urlsplit(following)[:2] != urlsplit(url)[:2]:
                raise SourceError(f"{url}: the next page is on another host: {link}")
            if following in seen:
                raise SourceError(f"{url}: the pages go round in a circle")
            url = following
            seen.add(url)
        raise SourceError(f"{url}: more than {_MOST_PAGES} pages")

    def get(self, url: str) -> Any:
        """The JSON at a URL. Raises SourceError with status and message of a refusal."""
        self._gate.wait()
        try:
            auth = None if self._tokens is None else Bearer(self._tokens.get())
            with self._session.get(
                url,
                auth=auth,
                stream=True,
                timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                allow_redirects=False,
                headers={"Accept": "application/json"},
            ) as response:
                body = self._read(url, response)
        except TokenError as exc:
            raise SourceError(f"{url}: {exc}") from exc
        except requests.RequestException as exc:
            raise SourceError(f"{url}: {type(exc).__name__}: {exc}") from exc
        if response.status_code != 200:
            code, message = error_of(body)
            words = " ".join(filter(None, (str(response.status_code), code, message)))
            raise SourceError(f"{url}: {words}")
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise SourceError(f"{url}: not JSON: {exc}") from exc

    def _read(self, url: str, response: requests.Response) -> bytes:
        deadline = self._clock() + _TOTAL_TIMEOUT
        body = bytearray()
        # Whatever has come, without waiting for a whole chunk: a trickle would never be cut off.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > _MOST_BYTES:
                raise SourceError(f"{url}: more than {_MOST_BYTES} bytes")
            if self._clock() > deadline:
                raise SourceError(f"{url}: not read within {_TOTAL_TIMEOUT:.0f} s")
        return bytes(body)
