"""The list of checks, what runs them, and secrets that are taken out."""

from __future__ import annotations

import re

import pytest
from azure.core.exceptions import HttpResponseError
from hypothesis import given
from hypothesis import strategies as st

from local.azurite import ACCOUNT_KEY, Azurite
from local.stack import ROOT
from shared.errors import RelayError
from tests.secrets_in_logs import kinds_of
from tools.doctor import checks
from tools.doctor.checks import CHECKS, redact, run_checks
from tools.doctor.context import Context
from tools.doctor.findings import Finding, warning
from tools.doctor.fixes import Fixes, Home

from .contexts import make_context, storage_error
from .test_identity import jwt


def test_the_documentation_has_every_check_in_its_order() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = text.partition("## The checks")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(CHECKS)


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (RelayError("bad"), "failed", "bad"),
        (storage_error("AccountIsDisabled"), "failed", "No. ErrorCode:AccountIsDisabled"),
        (HttpResponseError("x\ny"), "failed", "x y"),
        (None, "skipped", "This check needs the storage account"),
    ],
)
def test_an_error_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, status: str, text: str
) -> None:
    def check(context: Context) -> list[Finding]:
        if error is None:
            return [warning(context.storage_account.name)]
        raise error

    monkeypatch.setattr(checks, "CHECKS", {"one": check})
    started: list[str] = []
    assert run_checks(make_context(), started.append) == [Finding("one", status, text)]  # type: ignore[arg-type]
    assert started == ["one"]


def test_a_finding_is_one_line_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\n\x1b]0;owned\x07\x9b2J\u202e"
    monkeypatch.setattr(checks, "CHECKS", {"one": lambda _: [warning(text, text)]})
    (finding,) = run_checks(make_context())
    assert finding.message == "a ]0;owned 2J"
    assert finding.fix[0].isprintable()


SECRETS = {
    "key": f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={ACCOUNT_KEY};X=1",
    "signature": "https://a.queue.core.windows.net/q?sv=1&sig=c2VjcmV0c2VjcmV0%3D&se=2",
    "connection with a signature": "QueueEndpoint=https://a/;SharedAccessSignature=sv=1&sig=abcd",
    "bearer": "Authorization: Bearer abcdefghijkl",
    "token": jwt({"oid": "me"}),
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    shown = redact(f"before {text} after", {})
    assert kinds_of(shown) == []
    assert shown.startswith("before")
    assert shown.endswith("after")


@given(st.text(st.characters(codec="ascii"), min_size=8), st.text())
def test_the_value_of_a_secret_setting_is_taken_out(value: str, text: str) -> None:
    shown = redact(f"{text}{value}{text}", {"AZURE_CLIENT_SECRET": value})
    assert value not in shown or value in redact(text + text, {})


@pytest.mark.parametrize("value", ["pass'word-1", 'pa$$"word-1', "password\n1"])
def test_a_secret_is_taken_out_of_commands(value: str) -> None:
    (line,) = Fixes(home=Home.APP).set("NAME", value)
    assert "word" not in redact(line, {"CLIENT_SECRET": value})


def test_other_words_stay() -> None:
    text = (
        f"METRICS_QUEUE is not set; {Azurite().queue_endpoint}; the key is cut short; "
        'export MetricsStorage="QueueEndpoint=https://a;SharedAccessSignature=$SAS"'
    )
    assert redact(text, {"METRICS_QUEUE": "metrics", "SHORT_KEY": "is"}) == text
