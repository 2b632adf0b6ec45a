"""JSON over HTTPS from where an operator points it, with bounds on size and time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import msgspec

from shared.clients.deadline import Deadline
from shared.clients.http import Anonymous, Bearer, TokenSource, error_of
from shared.clients.rate_limiter import Gate
from shared.clients.watchdog import ended_at
from shared.errors import SourceError, TokenError
from shared.publisher.retry import retry_after

if TYPE_CHECKING:
    import requests

__all__ = ["Bounds", "JsonClient"]

_CHUNK = 65_536
_PORTS = {"http": 80, "https": 443}
# Answers of a service that wants to be left alone, for as long as its Retry-After says.
_BUSY = frozenset({429, 503})
# Seconds; a Retry-After of none would have it asked again and again.
_LEAST_PAUSE = 1.0


_LATE = "not read in time"


class Bounds(msgspec.Struct, frozen=True):
    """What an answer may cost."""

    most_bytes: int = 10_000_000  # Decompressed; a page of ARM has some hundred thousand.
    most_pages: int = 500  # ARM's have 100 entities.
    # Seconds, when the deadline is further away: to connect, and between two bytes.
    connect: float = 5.0
    read: float = 15.0


_BOUNDS = Bounds()


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    pause: float | None  # Seconds that a busy service asked for.


class JsonClient:
    """Gets JSON; blocking and safe to use from several threads."""

    def __init__(
        self,
        session: requests.Session,
        gate: Gate,
        tokens: TokenSource | None,
        *,
        bounds: Bounds = _BOUNDS,
    ) -> None:
        self._session = session
        self._gate = gate
        self._tokens = tokens
        self._bounds = bounds

    def pages(self, url: str, next_link: Callable[[Any], Any], until: Deadline) -> Iterator[Any]:
        """Yield the answer and those that follow it, until `next_link` of one finds none.

        Raises SourceError; also for a link to another origin, which the token must not go to, and
        for a link that was followed before.
        """
        seen = {url}
        for _ in range(self._bounds.most_pages):
            page = self.get(url, until)
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

    def get(self, url: str, until: Deadline) -> Any:
        """The JSON at a URL.

        Raises SourceError with status and message of a refusal. A service that is busy is asked
        once more, when it said it may be; meanwhile the gate is closed to all.
        """
        answer = self._ask(url, until)
        if answer.pause is not None:
            answer = self._ask(url, until)
        if answer.status != 200:
            raise SourceError(f"{_shown(url)}: {_refusal(answer)}")
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise SourceError(f"{_shown(url)}: not JSON: {exc}") from exc

    def _ask(self, url: str, until: Deadline) -> _Answer:
        import requests
        import urllib3

        try:
            token = None if self._tokens is None else self._tokens.get()
        except TokenError as exc:
            raise SourceError(f"{_shown(url)}: {exc}") from exc
        with self._gate.turn(until):
            try:
                with ended_at(until):
                    answer = self._attempt(url, token, until)
            # The body is read from urllib3 itself, whose errors nobody translates.
            except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
                if not until.left():
                    raise SourceError(f"{_shown(url)}: {_LATE}") from exc
                text = re.sub(r"\?\S+", "?…", str(exc))
                raise SourceError(f"{_shown(url)}: {type(exc).__name__}: {text}") from exc
        if not until.left():  # It may have been cut short.
            raise SourceError(f"{_shown(url)}: {_LATE}")
        if answer.status == 401 and self._tokens is not None and token is not None:
            self._tokens.discard(token)  # The next tick comes with a new one.
        if answer.pause is not None:
            why = f"{_shown(url)}: {_refusal(answer)}, come back in {answer.pause:g} s"
            self._gate.close(answer.pause, why)
        return answer

    def _attempt(self, url: str, token: str | None, until: Deadline) -> _Answer:
        # A time-out of nothing would be an error of its own.
        left = max(0.001, until.left())
        with self._session.get(
            url,
            auth=Anonymous() if token is None else Bearer(token),
            stream=True,
            timeout=(min(self._bounds.connect, left), min(self._bounds.read, left)),
            allow_redirects=False,
            headers={"Accept": "application/json"},
        ) as response:
            body = self._read(url, response)
        pause = None
        if response.status_code in _BUSY:
            pause = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return _Answer(
            response.status_code, body, None if pause is None else max(pause, _LEAST_PAUSE)
        )

    def _read(self, url: str, response: requests.Response) -> bytes:
        body = bytearray()
        # Whatever has come, without waiting for a whole chunk: what is too long is known early.
        while chunk := response.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > self._bounds.most_bytes:
                raise SourceError(f"{_shown(url)}: more than {self._bounds.most_bytes} bytes")
        return bytes(body)


def _refusal(answer: _Answer) -> str:
    words = (str(answer.status), *error_of(answer.body))
    return " ".join(" ".join(words).split())


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
