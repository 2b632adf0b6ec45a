"""The parts of `doctor` that read: tokens, and texts that secrets are taken out of."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.queue import QueueServiceClient
from hypothesis import example, given
from hypothesis import strategies as st

from local.azurite import ACCOUNT_KEY, Azurite
from local.monitor.tokens import SYSTEM_ASSIGNED, TENANT_ID, Tokens
from local.stack import ROOT
from tests.secrets_in_logs import kinds_of
from tools.doctor.claims import Claims, read_claims
from tools.doctor.commands import Commands, Home, Open, inside, of_account, quoted
from tools.doctor.patient import Account, Options, Patient, utc_now
from tools.doctor.secrets import redact
from tools.doctor.settings import KNOWN
from tools.doctor.storage_errors import explained
from tools.doctor.walk import CHECKS


def jwt(payload: Any) -> str:
    parts = ({"alg": "none"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in encoded), "signature"])


def test_a_token_says_whose_it_is() -> None:
    token = Tokens(600).issue(SYSTEM_ASSIGNED, "https://monitoring.azure.com/", 1_000_000.0)
    assert read_claims(token.access_token) == Claims(
        audience="https://monitoring.azure.com/",
        object_id=SYSTEM_ASSIGNED.principal_id,
        application_id=SYSTEM_ASSIGNED.client_id,
        tenant=TENANT_ID,
        issued=1_000_000.0,
        expires=1_000_600.0,
    )


def test_a_user_is_told_from_an_application() -> None:
    assert read_claims(jwt({"scp": "user_impersonation", "oid": "me"})).is_user
    assert not read_claims(jwt({"roles": ["x"], "azp": "app"})).is_user


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
claim_names = st.sampled_from(["aud", "oid", "appid", "azp", "tid", "iat", "exp", "idtyp", "scp"])


@given(st.dictionaries(claim_names, json_values) | json_values)
def test_whatever_a_token_holds_is_read(payload: Any) -> None:
    claims = read_claims(jwt(payload))
    assert isinstance(claims.audience, str)
    assert claims.bearer


@given(st.text() | st.binary().map(lambda data: "." + base64.b64encode(data).decode() + "."))
def test_what_is_no_token_says_nothing(text: str) -> None:
    assert isinstance(read_claims(text), Claims)


# --- Secrets ------------------------------------------------------------------------------------

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
    commands = Commands(home=Home.DEPLOYED)
    lines = [commands.set("NAME", value), commands.set("NAME", Open(inside(value)))]
    assert all("word" not in redact(line, {"CLIENT_SECRET": value}) for line in lines)


def test_innocent_words_stay() -> None:
    text = f"METRICS_QUEUE is not set; {Azurite().queue_endpoint}; the key is cut short"
    assert redact(text, {"METRICS_QUEUE": "metrics", "SHORT_KEY": "is"}) == text


# --- Commands -------------------------------------------------------------------------------------


# All that an app setting can hold.
values = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))


def said_by_bash(words: str) -> str:
    echo = ["bash", "-c", f"printf '%s|' {words}"]
    return subprocess.run(echo, check=True, capture_output=True, timeout=60).stdout.decode()


@given(values)
@example('[{"path": "$.items", "name": "$(touch x)`touch y`"}]')
@example("two\nlines\x1b[2J and \\ and '")
def test_a_value_comes_through_the_shell(value: str) -> None:
    assert said_by_bash(quoted(value)) == f"{value}|"
    assert quoted(value).isprintable()


@given(values)
@example('$(touch x)`touch y`"!\\')
def test_a_value_within_what_is_open_stands_for_itself(value: str) -> None:
    assert said_by_bash(quoted(Open(f"{inside(value)},$((1 + 1))"))) == f"{value},2|"


def test_the_names_of_settings_are_quoted_too() -> None:
    for home in Home:
        commands = Commands(home=home)
        for line in (commands.set("METRICS_$(x)", "1"), commands.unset("METRICS_$(x)")):
            assert "'METRICS_$(x)" in line
    assert "$(x)" not in of_account("devstoreaccount1", "Source$(x)", by_key=True)


def test_what_is_unknown_stays_open_at_every_home() -> None:
    for home in Home:
        line = Commands(home=home).set("METRICS_REGION", Open("$REGION"))
        assert '"METRICS_REGION=$REGION"' in line or '"$REGION"' in line


def test_a_remedy_does_nothing_to_a_terminal() -> None:
    tenant = "\x1b[2J\ntouch x"
    commands = Commands(home=Home.SHELL)
    patient = Patient(
        environ={}, options=Options(), commands=commands, now=utc_now, sleep=lambda _: None
    )
    account = Account(
        QueueServiceClient("https://a.queue.core.windows.net", "key"),
        "a",
        False,
        Claims(tenant=tenant),
    )
    refusal = HttpResponseError("no")
    refusal.status_code = 403
    vars(refusal)["error_code"] = "AuthenticationFailed"
    remedy = explained(refusal, account, patient).remedy
    assert remedy.isprintable()


def test_a_user_is_granted_as_one() -> None:
    commands = Commands(home=Home.SHELL)
    grant = commands.grant("Reader", Claims(object_id="me", is_user=True), "/subscriptions/1")
    assert grant[0] == (
        "az role assignment create --role Reader --assignee-object-id me "
        "--assignee-principal-type User --scope /subscriptions/1"
    )


def test_the_known_settings_are_those_that_the_code_reads() -> None:
    code = "".join(
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("shared/settings.py", "function_app.py")
    )
    assert set(re.findall("METRICS_[A-Z_]+", code)) == KNOWN


def test_the_documentation_has_every_link_in_its_order() -> None:
    text = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = text.partition("## The links")[2].partition("| symptom |")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(CHECKS)
