"""Look for secrets in everything that tests log, and that the programs they start print.

`conftest.py` imports the fixtures, so every test is checked. A test during which a secret is
written fails, with the kind of secret and the place, without the secret.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from local.azurite import ACCOUNT_KEY
from local.processes import Child

__all__ = ["SECRETS", "SecretFinder", "fail_on_secrets", "kinds_of", "secret_finder"]

# What tests use as a secret: tokens, keys, parts of URLs.
TEST_SECRETS = (
    "secret-1",
    "secret-2",
    "secret-3",
    "code=secret",
    "p=secret",
    "c2VjcmV0",
    "a-secret",
)
SECRETS: Mapping[str, re.Pattern[str]] = {
    # A token, not what a server asks for: Bearer authorization_uri="…".
    "bearer token": re.compile(r"\bBearer[ =:'\"]+(?!\w+=\")[\w.~+/-]{6,}", re.IGNORECASE),
    "JSON Web Token": re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\."),
    "account key": re.compile(r"Account_?Key\W{1,4}[\w+/]{4}", re.IGNORECASE),
    "key of Azurite": re.compile(re.escape(ACCOUNT_KEY[:40])),
    "signature of a URL": re.compile(
        r"(?:\b|%26|%3F)sig(?:=|%3D)(?!REDACTED)[\w%+/-]", re.IGNORECASE
    ),
    "signature of a header": re.compile(r"\bSharedKey(?:Lite)? \w+:[\w+/]{4}"),
    "secret of a test": re.compile("|".join(map(re.escape, TEST_SECRETS))),
}


def kinds_of(text: str) -> list[str]:
    """Return the kinds of secrets in a text."""
    return [kind for kind, pattern in SECRETS.items() if pattern.search(text)]


class SecretFinder(logging.Handler):
    """Searches log records and lines of output; keeps kind and place of each secret."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Search a record, its exception included."""
        place = f"logged by {record.name}, {record.filename}:{record.lineno}"
        self.search(place, self.format(record))

    def search(self, place: str, text: str) -> None:
        """Search a text; from any thread."""
        self.found += [f"{kind}, {place}" for kind in kinds_of(text)]


@pytest.fixture(scope="session", autouse=True)
def secret_finder() -> Iterator[SecretFinder]:
    """Search all log records of this process and all output of child processes."""
    finder = SecretFinder()
    start = Child.__init__

    def start_searched(
        self: Child,
        name: str,
        command: Sequence[str | Path],
        *,
        on_line: Callable[[str], None] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        def search(line: str) -> None:
            finder.search(f"printed by {name}", line)
            if on_line is not None:
                on_line(line)

        start(self, name, command, on_line=search, env=env, cwd=cwd)

    root, product = logging.getLogger(), logging.getLogger("shared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Child, "__init__", start_searched)
        # The level in Azure.
        product.setLevel(logging.INFO)
        root.addHandler(finder)
        yield finder
        root.removeHandler(finder)
        product.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def fail_on_secrets(secret_finder: SecretFinder) -> Iterator[None]:
    """Fail the test during which a secret was written."""
    yield
    found, secret_finder.found = secret_finder.found, []
    if found:
        pytest.fail("secrets were written: " + "; ".join(sorted(set(found))), pytrace=False)
