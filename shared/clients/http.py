"""What all HTTP requests share: deadlines, bearer tokens, bodies, and the shape of errors."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, urlsplit

import msgspec

from shared.errors import RelayError
from shared.text import clean

if TYPE_CHECKING:  # Slow to import: loaded when the first session is opened.
    import requests

__all__ = [
    "MAX_ERROR_TEXT",
    "BearerAuth",
    "Deadline",
    "HttpError",
    "NoAuth",
    "TokenSource",
    "describe_error",
    "is_loopback",
    "parse_error",
    "parse_retry_after",
    "read_body",
    "translate_errors",
    "validate_url",
    "without_query",
]

# Characters that are kept of an error's text; those of Azure are shorter.
MAX_ERROR_TEXT = 1000
# Lines of an error of storage that differ each time.
_REQUEST = re.compile("^(?:RequestId|Time):.*\n?", re.MULTILINE)
# Bytes that are read at once.
_CHUNK_SIZE = 65_536
# Azure also sends fractions of a second, some with the decimal comma of a locale.
_SECONDS = re.compile("([0-9]{1,9})[0-9]*(?:[.,]([0-9]{1,9})[0-9]*)?")

# urllib3 logs a warning with the whole URL, keys included, for a header that it cannot parse; the
# SDKs of Azure log warnings for what is an error here as well.
for _name in ("urllib3", "azure"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class Deadline:
    """A moment some seconds from now."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Return the seconds that are left; 0 once the deadline has passed."""
        return max(0.0, self._end - self._clock())


class HttpError(RelayError):
    """A request got no usable response; the text says why and contains no query string."""


class TokenSource(Protocol):
    """Returns bearer tokens for one audience."""

    def get(self) -> str:
        """Return the current token. Raises TokenError."""

    def discard(self, refused: str) -> None:
        """Forget a token that a service refused."""


class BearerAuth:
    """Set the Authorization header; one in `headers` would lose against a .netrc file."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class NoAuth:
    """Send no credential; without it, requests looks for one in a .netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def without_query(text: str) -> str:
    """Return a text without the query strings of the URLs in it."""
    return re.sub(r"\?\S+", "?…", text)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise HttpError for what a session raises, which is an OSError, and urllib3."""
    import urllib3

    try:
        yield
    except (OSError, urllib3.exceptions.HTTPError) as exc:
        raise HttpError(clean(f"{type(exc).__name__}: {without_query(str(exc))}")) from exc


@translate_errors()
def read_body(response: requests.Response, max_bytes: int, deadline: Deadline) -> bytes:
    """Return the decompressed body of a response that was requested with `stream=True`.

    Raises HttpError if it has more than `max_bytes`, if the deadline passes between two chunks,
    or if the connection or the compression breaks.
    """
    body = bytearray()
    # read1 returns what has arrived: a body that is too long or too slow is noticed early.
    while chunk := response.raw.read1(_CHUNK_SIZE, decode_content=True):
        body += chunk
        if len(body) > max_bytes:
            raise HttpError(f"the response has more than {max_bytes:,} bytes")
        if not deadline.left():
            raise HttpError("the response was not complete before the deadline")
    return bytes(body)


def parse_error(body: bytes) -> tuple[str, str]:
    """Return code and message of an error response of Azure, or no code and the body as text.

    The messages of its details follow its own.
    """
    try:
        document: Any = msgspec.json.decode(body)
        error = document["error"]
        parts = [error, *(error.get("details") or ())]
        code, message = str(error.get("code") or ""), _join(part.get("message") for part in parts)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        code, message = "", body.decode(errors="replace")
    return clean(code), clean(message)


def _join(messages: Iterable[Any]) -> str:
    return " ".join(dict.fromkeys(str(message).strip() for message in messages if message))


def describe_error(exc: BaseException) -> str:
    """Return what a service or an SDK says, as one line: message, code and detail."""
    text = str(exc)
    if getattr(exc, "error_code", None):
        # The SDK has written the members of the body, such as AuthenticationErrorDetail, above it.
        text = text.partition("\nContent: ")[0]
    return clean(_REQUEST.sub("", text), MAX_ERROR_TEXT)


def parse_retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header: a number, or until a date (RFC 9110, 10.2.3).

    Return None if the header is missing or invalid; the result is never negative.
    """
    text = (header or "").strip()
    if seconds := _SECONDS.fullmatch(text):
        return float(f"{seconds[1]}.{seconds[2] or 0}")
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return None if date.tzinfo is None else max(0.0, (date - now).total_seconds())


def is_loopback(host: str | None) -> bool:
    """Return whether a host is this machine."""
    return host in {"127.0.0.1", "localhost", "::1"}


def validate_url(url: str, example: str = "https://host.example") -> SplitResult:
    """Return the parts of a URL that may get a token: https://, or http:// on this machine.

    Raises ValueError with what is expected.
    """
    try:
        parts = urlsplit(url)
        valid = parts.hostname and parts.port != 0 and parts.username is None
    except ValueError:
        valid = False
    if not valid:
        raise ValueError(f"expected a URL such as {example}")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("expected https:// (http:// on the loopback interface only)")
    return parts
