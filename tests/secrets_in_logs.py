"""A guard on all that the tests log, and that the programs they start print: no secret in it.

`conftest.py` takes the fixtures, so every test is watched. One in whose time a secret is written
fails, with what kind it is and where, not with its text.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from local.azurite import ACCOUNT_KEY
from local.processes import Child

__all__ = ["Watch", "kinds_of", "watch", "watched"]

# What tests give to the product as a secret, word for word: tokens and keys, parts of URLs.
OF_TESTS = ("secret-1", "secret-2", "secret-3", "code=secret", "p=secret", "c2VjcmV0", "a-secret")
SECRETS: Mapping[str, re.Pattern[str]] = {
    # A token, not what a server wants: Bearer authorization_uri="…".
    "a bearer token": re.compile(r"\bBearer[ =:'\"]+(?!\w+=\")[\w.~+/-]{6,}", re.IGNORECASE),
    "a JSON Web Token": re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\."),
    "a key of a connection string": re.compile(r"Account_?Key\W{1,4}[\w+/]{4}", re.IGNORECASE),
    "the key of Azurite": re.compile(re.escape(ACCOUNT_KEY[:40])),
    "a signature of a URL": re.compile(
        r"(?:\b|%26|%3F)sig(?:=|%3D)(?!REDACTED)[\w%+/-]", re.IGNORECASE
    ),
    "a signature of a header": re.compile(r"\bSharedKey(?:Lite)? \w+:[\w+/]{4}"),
    "a secret of a test": re.compile("|".join(map(re.escape, OF_TESTS))),
}


def kinds_of(text: str) -> list[str]:
    """The kinds of secrets that are in a text."""
    return [kind for kind, pattern in SECRETS.items() if pattern.search(text)]


class Watch(logging.Handler):
    """Looks at every record and every line; keeps what kinds of secrets were where."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record, at what it says of an exception too."""
        self.look(
            f"logged by {record.name}, {record.filename}:{record.lineno}", self.format(record)
        )

    def look(self, where: str, text: str) -> None:
        """Look at a text; from any thread."""
        self.found += [f"{kind}, {where}" for kind in kinds_of(text)]


@pytest.fixture(scope="session", autouse=True)
def watch() -> Iterator[Watch]:
    """What is logged in this process and what children print, all through the session."""
    guard = Watch()
    start = Child.__init__

    def watched_start(
        self: Child,
        name: str,
        command: Sequence[str | Path],
        *,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        def look(line: str) -> None:
            guard.look(f"printed by {name}", line)
            if on_line is not None:
                on_line(line)

        start(self, name, command, on_line=look, env=env, cwd=cwd)

    root, product = logging.getLogger(), logging.getLogger("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Child, "__init__", watched_start)
        # As in Azure: the line on every POST is looked at too.
        product.setLevel(logging.INFO)
        root.addHandler(guard)
        yield guard
        root.removeHandler(guard)
        product.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def watched(watch: Watch) -> Iterator[None]:
    """Fails the test in whose time a secret was written."""
    yield
    found, watch.found = watch.found, []
    if found:
        pytest.fail("secrets were written: " + "; ".join(sorted(set(found))), pytrace=False)
