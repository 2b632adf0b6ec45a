"""`doctor` against Azurite and the emulator, each fault in turn: the link and the remedy it names.

The remedy is pasted into a shell, and the doctor called again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from local.stack import ROOT, Backend
from tools.__main__ import main
from tools.doctor.commands import Commands, Home
from tools.doctor.findings import Status
from tools.doctor.patient import Options, Patient, utc_now
from tools.doctor.walk import walk

from .doctor_faults import ALL_BUT_ROLES, FAULTS, Fault
from .doctoring import Chain, pasted, visit


@pytest.fixture
def chain(
    backend: Backend, queue: str, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Chain]:
    """A chain with nothing wrong with it, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    yield Chain.whole(backend, queue, site)
    backend.control("DELETE", "state")


def test_a_chain_that_is_whole_is_right_at_every_link(chain: Chain) -> None:
    seen = chain.visit("--probe")
    assert seen.code == 0
    assert seen.of("ok") == ALL_BUT_ROLES
    assert seen.of("skipped") == ["storage roles"]
    assert all(one["remedy"] == "" for one in seen.findings)
    (value,) = chain.backend.metrics(resourceId=chain.site)
    assert (value["namespace"], value["metric"]) == ("MetricRelayProbe", "Probe")


def test_nothing_is_published_without_being_asked_for(chain: Chain) -> None:
    assert chain.visit().of("skipped") == ["storage roles", "publish"]
    assert chain.backend.metrics(resourceId=chain.site) == []


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_by_its_link_and_its_remedy(chain: Chain, fault: Fault) -> None:
    filled = chain.filled
    if fault.prepare is not None:
        fault.prepare(chain)
    chain.env |= {name: value and filled(value) for name, value in fault.settings.items()}
    for method, path, body in fault.control:
        chain.backend.control(method, path, data=filled(json.dumps(body)))
    options = [filled(option) for option in fault.options]

    seen = chain.visit(*options)
    assert seen.of("failed") == ([fault.link] if fault.status == "failed" else [])
    assert seen.of("warning") == ([fault.link] if fault.status == "warning" else [])
    unasked = () if "--probe" in options else ("publish",)
    assert {*seen.of("skipped")} == {"storage roles", *fault.skipped, *unasked}
    assert seen.code == (1 if fault.status == "failed" else 0)
    told = seen.at(fault.link, fault.status)
    assert filled(fault.found) in told["found"]
    assert filled(fault.remedy) in told["remedy"] if fault.remedy else not told["remedy"]

    chain.apply(told["remedy"])
    if fault.mends:
        assert fault.link in chain.visit(*options).of("ok")


def test_without_any_settings_it_says_where_they_come_from(chain: Chain) -> None:
    seen = visit(dict.fromkeys(chain.env))
    assert seen.of("failed") == ["settings"]
    assert seen.of("ok") == ["host.json"]
    assert "cp local.settings.sample.json local.settings.json" in seen.at("settings")["remedy"]


def test_a_secret_in_the_wrong_setting_is_not_repeated(chain: Chain) -> None:
    """`visit` looks for secrets in all that is said, always."""
    chain.env |= {
        "METRICS_QUEUE": chain.backend.azurite.connection_string,
        "METRICS_REGION": f"Bearer {'x' * 40}",
        "METRICS_NAMESPACE": f"sig={'y' * 300}",
        "METRICS_SAMPLE_SCHEDULE": chain.env["IDENTITY_HEADER"],
    }
    seen = chain.visit()
    assert seen.of("failed") == ["settings", "triggers"]
    assert (
        "METRICS_QUEUE is 'DefaultEndpointsProtocol…' (the rest may be secret): expected"
        in " ".join(one["found"] for one in seen.findings)
    )


def test_a_value_in_a_command_is_no_command(chain: Chain) -> None:
    value = '[{"path": "$.items", "name": "$(touch ran)`touch ran`"}]'
    chain.env |= {"METRICS_SOURCE": value, "METRICS_SOURCES": "[]"}
    chain.apply(chain.visit().at("settings", "warning")["remedy"])
    assert chain.env["METRICS_SOURCES"] == value


def test_every_wrong_setting_is_told_at_once(chain: Chain) -> None:
    wrong = {
        "METRICS_QUEUE": None,
        "METRICS_REGION": "west-europe",
        "METRICS_PAST_MINUTES": "90",
        "METRICS_SAMPLE_SCHEDULE": None,
    }
    chain.env |= wrong
    seen = chain.visit()
    told = " ".join(one["found"] for one in seen.findings if one["status"] == "failed")
    assert seen.of("failed") == ["settings", "triggers"]
    assert [name for name in wrong if name in told] == list(wrong)


@pytest.mark.parametrize("seconds", [-1900, 1900])
def test_a_clock_beyond_the_window_fails(chain: Chain, seconds: int) -> None:
    chain.backend.control("PUT", "clock", json={"offsetSeconds": seconds})
    seen = chain.visit("--probe")
    assert seen.of("failed") == ["clock", "publish"]
    assert "disagree" in seen.at("publish")["found"]
    assert seen.at("clock")["remedy"].endswith("sudo timedatectl set-ntp true")


def test_a_message_that_waits_is_told_with_its_age(chain: Chain) -> None:
    chain.backend.storage.get_queue_client(chain.queue).send_message("{}")
    found = chain.visit().at("ingress queue", "ok")["found"]
    assert found.startswith(f"{chain.queue}: about 1 messages, the oldest for 0:0")


def test_a_message_that_was_tried_in_vain_is_a_warning(chain: Chain) -> None:
    queue = chain.backend.storage.get_queue_client(chain.queue)
    queue.send_message("{}")
    for _ in range(3):
        (taken,) = queue.receive_messages()
        queue.update_message(taken, visibility_timeout=0)
    seen = chain.visit()
    assert seen.of("warning") == ["ingress queue"]
    assert "tried up to 3 times" in seen.at("ingress queue")["found"]


def test_a_message_that_is_hidden_is_in_work(chain: Chain) -> None:
    queue = chain.backend.storage.get_queue_client(chain.queue)
    queue.send_message("{}")
    list(queue.receive_messages())
    assert chain.visit().at("ingress queue", "ok")["found"] == (
        f"{chain.queue}: 1 in work or waiting for another try"
    )


def test_the_commands_are_those_of_a_file_of_settings(chain: Chain, tmp_path: Path) -> None:
    values = {**chain.env, "METRICS_QUEUE": "My_Queue"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    found = visit(dict.fromkeys(chain.env)).at("settings")
    assert found["remedy"] == "func settings add METRICS_QUEUE metrics"


def test_the_commands_are_those_of_an_app_in_azure(chain: Chain, tmp_path: Path) -> None:
    # What `az functionapp config appsettings list` prints.
    values = {**chain.env, "METRICS_QUEUE": "My_Queue", "METRICS_PAST_MINUTES": "90"}
    listed = [{"name": name, "slotSetting": False, "value": text} for name, text in values.items()]
    file = tmp_path / "app.json"
    file.write_text(json.dumps(listed))
    nothing = dict.fromkeys(chain.env)
    options = ("--settings", str(file), "--app", "relay-1", "--group", "relays")
    assert [one["remedy"] for one in visit(nothing, *options).findings if one["remedy"]] == [
        (
            "az functionapp config appsettings set --name relay-1 --resource-group relays "
            "--settings METRICS_QUEUE=metrics"
        ),
        (
            "az functionapp config appsettings delete --name relay-1 --resource-group relays "
            "--setting-names METRICS_PAST_MINUTES"
        ),
    ]


def test_an_app_in_azure_is_examined_as_somebody_else(chain: Chain, tmp_path: Path) -> None:
    """The emulator's identity stands in for whoever is signed in; it lacks the role."""
    values = {
        **chain.env,
        "METRICS_CREDENTIAL": "azure_cli",
        "AZURE_CLIENT_ID": "11111111-2222-4333-8444-555555555555",
    }
    file = tmp_path / "app.json"
    file.write_text(json.dumps([{"name": name, "value": text} for name, text in values.items()]))
    chain.backend.control("PUT", "roles", json={"assignments": [{"scope": "/", "role": "Reader"}]})
    options = ("--settings", str(file), "--credential", "managed_identity", "--probe")
    found = visit(dict.fromkeys(chain.env), *options)
    assert found.of("failed") == ["publish"]
    assert found.at("publish")["remedy"].splitlines()[2:] == [
        "# That is for you, as whom --credential looks; for the app itself:",
        (
            "az role assignment create --role 'Monitoring Metrics Publisher' "
            f"--assignee 11111111-2222-4333-8444-555555555555 --scope {chain.site}"
        ),
    ]


def test_calls_of_the_tools_that_are_shown_have_the_options_of_this_one(
    chain: Chain, tmp_path: Path, queue: str
) -> None:
    chain.backend.storage.create_queue(f"{queue}-dead-letter").send_message('{"reason": "invalid"}')
    values = {name: text for name, text in chain.env.items() if not name.startswith("IDENTITY_")}
    file = tmp_path / "an app's.json"
    file.write_text(json.dumps({"Values": values}))
    nothing = dict.fromkeys(chain.env)
    options = ("--settings", str(file), "--resource-id", chain.site, "--watch", "0", "--probe")
    seen = visit(nothing, *options)
    _, again = pasted(seen.at("identity")["remedy"].partition("\n#")[0], {})
    assert again[0] == ["az", "login"]
    assert again[1][:4] == ["python", "-m", "tools", "doctor"]
    assert {*options} <= {*again[1]} | {"0"}
    # Signed in as the app, which is the one that can be here; and it takes the words as they are.
    words = [*again[1][3:-1], "managed_identity"]
    env = {**nothing, **{name: chain.env[name] for name in chain.env if name not in values}}
    result = CliRunner().invoke(main, words, env=env)
    assert result.exit_code == 0, result.output
    assert "✓ publish" in result.stdout

    _, letters = pasted(seen.at("dead letters")["remedy"], {})
    result = CliRunner().invoke(main, letters[0][3:], env=nothing)
    assert (result.exit_code, result.stdout[: len(queue)]) == (0, queue)


def test_settings_whose_values_are_hidden_are_refused(chain: Chain, tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    file.write_text('[{"name": "METRICS_QUEUE", "slotSetting": false, "value": null}]')
    result = CliRunner().invoke(main, ["doctor", "--settings", str(file)], env=chain.env)
    assert result.exit_code == 1
    assert "app.json has no value of METRICS_QUEUE" in result.stderr


def test_people_get_signs_and_commands_to_copy(chain: Chain) -> None:
    chain.env["METRICS_AUDIENCE"] = "https://monitor.azure.com"
    result = CliRunner().invoke(main, ["doctor", "--project", str(ROOT)], env=chain.env)
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert [line[:2] for line in lines if line[0] in "✓!✗-"].count("✗ ") == 1
    wrong = next(index for index, line in enumerate(lines) if line.startswith("✗ audience"))
    assert lines[wrong + 1] == "    unset METRICS_AUDIENCE"
    assert lines[-1] == "13 ok, 1 failed, 2 skipped"
    assert "\x1b" not in result.stdout  # Colours are for terminals.


def test_a_region_that_is_none_is_wrong_usage(chain: Chain) -> None:
    result = CliRunner().invoke(main, ["doctor", "--region", "west-europe"], env=chain.env)
    assert result.exit_code == 2
    assert "'west-europe' is not a region" in result.stderr


# --- Dead letters that become more ----------------------------------------------------------------


def test_dead_letters_that_become_more_fail(chain: Chain) -> None:
    letters = chain.backend.storage.create_queue(f"{chain.queue}-dead-letter")
    letters.send_message('{"reason": "invalid", "detail": "points: none"}')
    settings = {name: text for name, text in chain.env.items() if text is not None}

    def pass_by(seconds: float) -> None:
        assert seconds == 30
        letters.send_message('{"reason": "invalid", "detail": "points: none"}')

    patient = Patient(
        environ=settings,
        options=Options(project=ROOT, watch=30),
        commands=Commands(home=Home.SHELL),
        now=utc_now,
        sleep=pass_by,
    )
    (found,) = (one for one in walk(patient) if one.link == "dead letters")
    assert found.status is Status.FAILED
    assert found.found.endswith("points: none; 1 more within 30 s")


def test_a_dead_letter_does_nothing_to_a_terminal(chain: Chain) -> None:
    letters = chain.backend.storage.create_queue(f"{chain.queue}-dead-letter")
    evil = "\x1b]0;owned\x07\x9b2J\u202e"
    letters.send_message(json.dumps({"reason": f"{evil}\ninvalid", "detail": f"a{evil}b\rc"}))
    shown = CliRunner().invoke(main, ["doctor", "--project", str(ROOT)], env=chain.env).stdout
    assert [one for one in shown if not one.isprintable() and one != "\n"] == []
    assert "\\x1b]0;owned\\x07\\x9b2J\\u202e invalid" in shown
    assert chain.visit().at("dead letters")["found"] in shown


# --- host.json --------------------------------------------------------------------------------

WRONG_IN_THE_FILE: dict[str, tuple[dict[str, Any], str, str]] = {
    "no timeout of visibility": (
        {"extensions": {"queues": {"visibilityTimeout": "00:00:00"}}},
        "failed",
        "maxDequeueCount 90 × visibilityTimeout 0:00:00 is 0:00:00",
    ),
    "defaults": ({"extensions": {"queues": None}}, "failed", "messageEncoding is base64"),
    "another pause than the app's": (
        {"extensions": {"queues": {"visibilityTimeout": "00:01:00"}}},
        "warning",
        "visibilityTimeout is 00:01:00 in host.json; what the app puts back stays unseen for",
    ),
    "rarely looks": (
        {"extensions": {"queues": {"maxPollingInterval": "00:05:00"}}},
        "warning",
        "maxPollingInterval is 0:05:00",
    ),
    "unknown": (
        {"extensions": {"queues": {"batchSizes": 8}}},
        "failed",
        "extensions.queues.batchSizes: unknown",
    ),
    "hours that are days": (
        {"extensions": {"queues": {"visibilityTimeout": "24:00:00"}}},
        "failed",
        '"24:00:00", which .NET reads as 24 days, 0:00:00: must be a time span hh:mm:ss up to',
    ),
    "ends early": ({"functionTimeout": "00:01:00"}, "failed", "functionTimeout is 00:01:00"),
    "retries": (
        {"retry": {"strategy": "fixedDelay", "maxRetryCount": 5, "delayInterval": "00:00:01"}},
        "warning",
        "retry is set",
    ),
    "old bundle": (
        {"extensionBundle": {"version": "[2.*, 3.0.0)"}},
        "failed",
        "extensionBundle is [2.*, 3.0.0)",
    ),
    "no bundle": ({"extensionBundle": None}, "failed", "extensionBundle is missing"),
    "some functions": (
        {"functions": ["sample_sources"]},
        "failed",
        "functions leaves out drain_metrics",
    ),
}


@pytest.mark.parametrize("change", WRONG_IN_THE_FILE.values(), ids=WRONG_IN_THE_FILE)
def test_a_host_json_that_would_lose_points_is_told(
    chain: Chain, tmp_path: Path, change: tuple[dict[str, Any], str, str]
) -> None:
    changed, status, text = change
    document = merged(json.loads((ROOT / "host.json").read_bytes()), changed)
    (tmp_path / "host.json").write_text(json.dumps(document))
    found = [
        one
        for one in chain.visit("--project", str(tmp_path)).findings
        if one["link"] == "host.json" and text in one["found"]
    ]
    assert [one["status"] for one in found] == [status]
    commands = chain.apply(found[0]["remedy"])
    if not commands:  # An app setting, and not the file.
        again = chain.visit("--project", str(tmp_path)).findings
        assert not [one for one in again if text in one["found"]]


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_host_json_that_is_none_is_told(chain: Chain, tmp_path: Path, text: str | None) -> None:
    remedy = "git checkout -- host.json" if text is None else "git stash push -- host.json"
    if text is not None:
        (tmp_path / "host.json").write_text(text)
    found = chain.visit("--project", str(tmp_path)).at("host.json")
    assert (found["status"], found["remedy"].splitlines()[-1]) == ("failed", remedy)


def merged(document: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The document with members replaced, or taken out where they are None."""
    result = dict(document)
    for name, value in changed.items():
        if value is None:
            del result[name]
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = merged(result[name], value)
        else:
            result[name] = value
    return result
