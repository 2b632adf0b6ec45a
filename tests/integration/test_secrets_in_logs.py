"""The check for secrets in logs finds each kind of secret, and nothing else."""

from __future__ import annotations

import logging
import sys

import pytest

from local.azurite import ACCOUNT_KEY
from local.processes import Child
from local.stack import ROOT
from tests.secrets_in_logs import SECRETS, SecretFinder, kinds_of

pytest_plugins = ["pytester"]

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL21vbml0b3JpbmcifQ.c2lnbmF0dXJl"
FOUND = {
    "header": ("Authorization: Bearer abcdef123", ["bearer token"]),
    "header of a dictionary": ("{'Authorization': 'Bearer abcdef123'}", ["bearer token"]),
    "bearer in lower case": ("got bearer=abcdef123", ["bearer token"]),
    "token": (f"token {JWT}", ["JSON Web Token"]),
    "header with a token": (f"Bearer {JWT}", ["bearer token", "JSON Web Token"]),
    "token without a signature": (JWT.rpartition(".")[0] + ".", ["JSON Web Token"]),
    "connection string": (
        "DefaultEndpointsProtocol=https;AccountName=orders;AccountKey=b3JkZXJz;",
        ["account key"],
    ),
    "key in JSON": ('{"account_key": "b3JkZXJz"}', ["account key"]),
    "key of Azurite": (f"key {ACCOUNT_KEY} refused", ["key of Azurite"]),
    "signature": ("https://orders/?sv=2024&sig=b3Jk%2Bw%3D", ["signature of a URL"]),
    "escaped signature": ("next=%3Fsv%3D1%26sig%3Db3Jk", ["signature of a URL"]),
    "signed header": ("SharedKey orders:b3JkZXJz", ["signature of a header"]),
    "secret of a test": ("refused: secret-1", ["secret of a test"]),
    "secret in a URL": ("GET /a?code=secret", ["secret of a test"]),
}


@pytest.mark.parametrize(("text", "kinds"), FOUND.values(), ids=FOUND)
def test_secret_is_found(text: str, kinds: list[str]) -> None:
    assert kinds_of(text) == kinds


def test_each_kind_is_tested() -> None:
    assert {kind for _, kinds in FOUND.values() for kind in kinds} == SECRETS.keys()


HARMLESS = [
    "POST to westeurope /subscriptions/5b2f/x: 3 samples in 120 bytes, 12 ms: 200",
    'WWW-Authenticate: Bearer authorization_uri="https://login.windows.net/x"',
    "token_type: Bearer",
    "403; grant Monitoring Metrics Publisher on /subscriptions/5b2f",
    "MetricsStorage: neither AccountKey nor SharedAccessSignature",
    "?sv=2024&sig=REDACTED",
    "?sv=2024&sig=***",
    "'design=3' is not a queue",
    "METRICS_SOURCES[0].url: found a secret in it",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_passes(text: str) -> None:
    assert kinds_of(text) == []


def raised(exc: Exception) -> Exception:
    """Return the exception with a traceback."""
    try:
        raise exc  # noqa: TRY301
    except Exception as caught:  # noqa: BLE001
        return caught


RECORDS = {
    "message": ("refused: Bearer abcdef123", (), None),
    "argument": ("refused: %s", ({"Authorization": "Bearer abcdef123"},), None),
    "exception": ("refused", (), raised(OSError("Bearer abcdef123"))),
}


@pytest.mark.parametrize(("text", "arguments", "exc"), RECORDS.values(), ids=RECORDS)
def test_message_arguments_and_exception_are_searched(
    text: str, arguments: tuple[object, ...], exc: Exception | None
) -> None:
    finder = SecretFinder()
    info = (type(exc), exc, exc.__traceback__) if exc else None
    finder.handle(logging.LogRecord("shared.x", logging.DEBUG, "x.py", 7, text, arguments, info))
    assert finder.found == ["bearer token, logged by shared.x, x.py:7"]


def test_every_line_of_a_child_is_searched(secret_finder: SecretFinder) -> None:
    lines: list[str] = []
    # More lines than a child's output keeps, with the secret in the first one.
    source = "print('Bearer abcdef123')\nfor number in range(3000): print(number)"
    with Child("the host", [sys.executable, "-c", source], on_line=lines.append) as child:
        child.wait()
    assert len(lines) == 3001
    found, secret_finder.found = secret_finder.found, []
    assert found == ["bearer token, printed by the host"]


SUITE = """
import logging
import sys
import pytest
from local.processes import Child

LOG = logging.getLogger("shared.x")

@pytest.fixture
def late():
    yield
    LOG.warning("AccountKey=b3JkZXJz")

def test_info(): LOG.info("secret-1")
def test_good(): LOG.warning("harmless")
def test_teardown(late): pass
def test_child():
    with Child("it", [sys.executable, "-c", "print('?sig=b3Jk')"]) as child: child.wait()
def test_good_again(): pass
"""


def test_only_the_test_that_writes_a_secret_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.secrets_in_logs import fail_on_secrets, secret_finder")
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--show-capture=no")
    result.assert_outcomes(passed=5, errors=3)  # A secret is reported after the test.
    texts = [line.partition(": ")[2] for line in result.outlines if line.startswith("secrets were")]
    assert [text.partition(", test_")[0] for text in texts] == [
        "secret of a test, logged by shared.x",
        "account key, logged by shared.x",
        "signature of a URL, printed by it",
    ]
    errors = [line for line in result.outlines if line.startswith("ERROR ")]
    assert [line.split("::")[1].split(" ")[0] for line in errors] == [
        "test_info",
        "test_teardown",
        "test_child",
    ]
