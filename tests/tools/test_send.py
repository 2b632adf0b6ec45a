"""`python -m tools send`: what is read, refused, packed and put, and where it goes on."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient
from click.testing import CliRunner, Result

from local.stack import Backend
from tests.manual_host import manual_host
from tests.unit.rollups import REGION, RESOURCE
from tools.__main__ import main

from .toll import Answer, Passage, toll

Send = Callable[..., Result]
ADDRESS = {"resourceId": RESOURCE, "region": REGION, "namespace": "Shop"}


def line(number: int, **members: Any) -> str:
    point = {"metric": "Orders", "value": number, **members}
    return json.dumps({**ADDRESS, "points": [point]})


def lines(count: int, begin: int = 0) -> str:
    return "".join(f"{line(number)}\n" for number in range(begin, begin + count))


def document(number: int) -> dict[str, Any]:
    series = {"dimValues": ["x"], "min": number, "max": number, "sum": number, "count": 1}
    base = {"metric": "Orders", "namespace": "Shop", "dimNames": ["Queue"], "series": [series]}
    address = {name: ADDRESS[name] for name in ("resourceId", "region")}
    return {**address, "time": datetime.now(UTC).isoformat(), "data": {"baseData": base}}


@pytest.fixture
def send(backend: Backend, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Run the command in an empty folder, against a queue of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MetricsStorage", backend.azurite.connection_string)
    monkeypatch.setenv("METRICS_QUEUE", queue)
    backend.storage.create_queue(queue)

    def run(*arguments: str, given: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["send", *arguments], input=given, catch_exceptions=False)

    return run


@pytest.fixture
def ingress(backend: Backend, queue: str) -> QueueClient:
    return backend.storage.get_queue_client(queue)


def messages(ingress: QueueClient) -> list[Any]:
    """All messages, which are gone from the queue then."""
    return [
        json.loads(message.content) for message in ingress.receive_messages(messages_per_page=32)
    ]


def values(found: list[Any]) -> list[float]:
    documents = [one for body in found for one in (body if isinstance(body, list) else [body])]
    return [point["value"] for one in documents for point in one["points"]]


# --- One point -----------------------------------------------------------------------------------


def test_a_metric_is_enqueued_as_it_is_said(send: Send, ingress: QueueClient) -> None:
    address = ["--resource-id", RESOURCE, "--region", REGION, "--namespace", "Shop"]
    done = send(
        *("--metric", "QueueDepth", "--value", "7"),
        *("--dimension", "QueueName=images", "--dimension", "Kind=a=b", *address),
    )
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Sent 1 point in 1 message (1 at the least), ")
    assert done.stderr == ""
    assert messages(ingress) == [
        {
            **ADDRESS,
            "points": [
                {
                    "metric": "QueueDepth",
                    "dimensions": {"Kind": "a=b", "QueueName": "images"},
                    "value": 7.0,
                }
            ],
        }
    ]


FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "samples": ("--values 1,2.5,-1", {"min": -1.0, "max": 2.5, "sum": 2.5, "count": 3}),
    "a value set": (
        "--min 1 --max 3 --sum 4 --count 2",
        {"min": 1.0, "max": 3.0, "sum": 4.0, "count": 2},
    ),
}


@pytest.mark.parametrize(("options", "members"), FORMS.values(), ids=FORMS)
def test_a_value_is_given_in_other_ways(
    options: str, members: dict[str, Any], send: Send, ingress: QueueClient
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    time = now.isoformat().replace("+00:00", "Z")
    done = send(
        "--metric", "x", "--time", now.isoformat(), "--resource-id", RESOURCE, *options.split()
    )
    assert done.exit_code == 0, done.output
    assert messages(ingress) == [
        {"resourceId": RESOURCE, "points": [{"metric": "x", "time": time, **members}]}
    ]


def test_a_point_without_a_resource_is_for_the_relays_own(send: Send, ingress: QueueClient) -> None:
    done = send("--metric", "x", "--value", "1")
    assert done.exit_code == 0
    assert done.stderr.startswith(
        "Without a resource: 1; that is for the relay's METRICS_RESOURCE_"
    )
    assert messages(ingress) == [{"points": [{"metric": "x", "value": 1.0}]}]


WRONG_POINTS = {
    "no value": ("--metric x", "points[0]: no value is given; give exactly one of value, values,"),
    "two": ("--metric x --value 1 --count 2", "points[0]: value and count are given; give exactly"),
    "not a number": ("--metric x --value nan", "points[0].value: Number out of range"),
    "empty": ("--metric x --value 1 --dimension A=", "points[0].dimensions.A: 0 characters, at"),
    "old": (
        "--metric x --value 1 --time 2020-01-01T00:00:00Z",
        "points[0].time: 2020-01-01T00:00:00Z is ",
    ),
    "group": (
        "--metric x --value 1 --resource-id /subscriptions/1",
        "resourceId: '/subscriptions/1' is a subscription; a metric belongs to a resource",
    ),
}


@pytest.mark.parametrize(("options", "said"), WRONG_POINTS.values(), ids=WRONG_POINTS)
def test_a_wrong_point_is_not_sent(
    options: str, said: str, send: Send, ingress: QueueClient
) -> None:
    done = send(*options.split())
    assert done.exit_code == 1
    assert done.stderr.startswith(said)
    assert done.stderr.endswith("1 refused, 0 are right.\nError: nothing was sent\n")
    assert messages(ingress) == []


USAGE = {
    "nothing": ("", "give --metric NAME for one point, or FILE (- for standard input)"),
    "a value alone": ("--value 1", "give --metric NAME for one point, or FILE"),
    "both": ("- --metric x", "FILE has points of its own: --metric is not for it"),
    "no equals": ("--metric x --value 1 --dimension A", "'A': expected NAME=VALUE"),
    "twice": ("--metric x --value 1 --dimension A=1 --dimension A=2", "'A' is given twice"),
    "no number": ("--metric x --value seven", "'seven' is not a valid float"),
    "no numbers": ("--metric x --values 1;2", "'1;2': expected numbers with commas between"),
    "no file": ("nothing.jsonl", "No such file or directory"),
    "a line of none": ("--metric x --value 1 --from-line 2", "--from-line is of FILE"),
    "a timeout of nothing": ("--metric x --value 1 --timeout 2", "--timeout is of --watch"),
    "a wrong default": ("- --resource-id /subscriptions/1", "resourceId: '/subscriptions/1' is a"),
    "a wrong region": ("- --region west-europe", "region: 'west-europe' is not a region"),
    "a dry watch": ("--metric x --value 1 --watch --dry-run", "--dry-run sends nothing to --watch"),
}


@pytest.mark.parametrize(("options", "said"), USAGE.values(), ids=USAGE)
def test_what_is_used_wrongly_is_said(options: str, said: str, send: Send) -> None:
    done = send(*options.split(), given="")
    assert done.exit_code == 2
    assert said in done.stderr


# --- Connections ---------------------------------------------------------------------------------


def test_a_connection_string_is_a_connection(
    send: Send, ingress: QueueClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MetricsStorage")
    string = backend.azurite.connection_string
    done = send("-", "--connection", string, given=line(1))
    assert done.exit_code == 0, done.output
    assert values(messages(ingress)) == [1]


KEY = "c2VjcmV0LWtleQ=="
SECRETS = {
    "a string as an account": ("--account", f"AccountName=orders;AccountKey={KEY}"),
    "a signature as an account": ("--account", f"orders.queue.core.windows.net?sig={KEY}"),
    "half a string": ("--connection", f"AccountKey={KEY}"),
    "a key with its quotes": ("--connection", f"x;{KEY}"),
}


@pytest.mark.parametrize("options", SECRETS.values(), ids=SECRETS)
def test_what_may_be_a_secret_is_not_said_again(options: tuple[str, str], send: Send) -> None:
    done = send("-", *options, given=line(1))
    assert (done.exit_code, done.stdout) == (1, "")
    assert KEY not in done.stderr
    assert done.stderr.startswith(f"Error: {options[0]} is ")


@pytest.mark.parametrize("account", ["http://127.0.0.1:10001/devstoreaccount1", "orders"])
def test_an_account_to_which_no_token_goes_is_refused(account: str, send: Send) -> None:
    done = send("-", "--account", account, given=line(1))
    assert done.exit_code == 1
    assert f"--account is {account!r}: expected https://NAME.queue." in done.stderr


# --- Files ---------------------------------------------------------------------------------------

# What three messages are written as.
SHAPES: dict[str, Callable[[list[Any]], str]] = {
    "lines": lambda three: "\n".join(map(json.dumps, three)),
    "lines with a byte order mark, CRLF and gaps": lambda three: (
        "\ufeff\r\n" + "\r\n\r\n".join(map(json.dumps, three)) + "\r\n"
    ),
    "an array": json.dumps,
    "an array over lines": lambda three: json.dumps(three, indent=2),
    "an array, an element a line": lambda three: (
        "[\n" + ",\n".join(map(json.dumps, three)) + "\n]\n"
    ),
    "lines of arrays": lambda three: f"{json.dumps(three[:2])}\n{json.dumps(three[2:])}",
    "base64": lambda three: "\n".join(
        base64.b64encode(json.dumps(one).encode()).decode() for one in three
    ),
}


@pytest.mark.parametrize("written", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_messages_in_every_form(
    written: Callable[[list[Any]], str], piped: bool, send: Send, ingress: QueueClient
) -> None:
    text = written([json.loads(line(0)), document(1), json.loads(line(2))])
    check_three_are_sent(text, piped, send, ingress)


@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_a_message_over_lines(piped: bool, send: Send, ingress: QueueClient) -> None:
    points = [{"metric": "Orders", "value": value} for value in range(3)]
    text = json.dumps({**ADDRESS, "points": points}, indent=1)
    check_three_are_sent(text, piped, send, ingress)


def check_three_are_sent(text: str, piped: bool, send: Send, ingress: QueueClient) -> None:
    Path("points.jsonl").write_bytes(text.encode())
    done = send("-", given=text.encode()) if piped else send("points.jsonl")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Sent 3 points in 1 message (1 at the least), ")
    assert sorted(values(messages(ingress))) == [0, 1, 2]


def test_points_keep_their_exact_times_and_lose_nothing_beside_a_bad_one(
    send: Send, ingress: QueueClient
) -> None:
    begun = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    times = {number: f"{begun}.00{number}000Z" for number in range(1, 4)}
    points = [{"metric": "Orders", "value": number, "time": times[number]} for number in times]
    whole = [{**ADDRESS, "points": [*points, {"metric": ""}]}, {"points": []}, json.loads(line(4))]
    done = send("-", "--skip-invalid", given=json.dumps(whole))
    assert "2 refused, 4 are right." in done.stderr
    (message,) = messages(ingress)
    found = {point["value"]: point.get("time") for point in message["points"]}
    assert found == {**times, 4: None}


def test_a_line_may_be_longer_than_a_message(send: Send, ingress: QueueClient) -> None:
    points = [{"metric": "Orders", "value": number} for number in range(5000)]
    done = send("-", given=json.dumps({**ADDRESS, "points": points}))
    assert done.exit_code == 0, done.output
    found = messages(ingress)
    assert len(found) > 1
    assert sorted(values(found)) == list(range(5000))


@pytest.mark.parametrize("indent", [None, 0], ids=["in a line", "over lines"])
def test_an_array_may_have_more_documents_than_a_message(
    indent: int | None, send: Send, ingress: QueueClient
) -> None:
    done = send("-", given=json.dumps([json.loads(line(1))] * 3001, indent=indent))
    assert done.exit_code == 0, done.output
    assert values(messages(ingress)) == [1] * 3001


WRONG_FILES = {
    "a bad line": (
        [line(0), '{"points": [{"metric": 3, "value": 1}]}', line(2)],
        ["line 2: points[0].metric: Expected `str`, got `int`"],
        2,
    ),
    "a bad first line": (
        ['{"points": oops}', line(1)],
        ["line 1: not valid JSON: JSON is malformed: invalid character (byte 11)"],
        1,
    ),
    "no JSON at all": (
        ["Orders 7", line(1), ""],
        ["line 1: body: 'Orders 7' is neither JSON, which starts with { or [, nor base64 of it"],
        1,
    ),
    "one of two points of a line": (
        [json.dumps({**ADDRESS, "points": [{"metric": "a", "value": 1}, {"metric": "b"}]})],
        [
            "line 1: points[1]: no value is given; give exactly one of value, values, or min with max, sum and count"  # noqa: E501
        ],
        1,
    ),
    "an element": (
        ["[", f"{line(0)},", '{"points": []},', '{"pionts": []}', "]"],
        [
            "[1]: points: Expected `array` of length >= 1",
            "[2]: unknown member 'pionts'; did you mean points?",
        ],
        1,
    ),
    "an array that is not closed": (
        ["[", line(0)],
        ["body: not valid JSON: Input data was truncated"],
        0,
    ),
}


@pytest.mark.parametrize(("text", "said", "good"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_nothing_of_a_wrong_file_is_sent_unless_it_is_told_to(
    text: list[str], said: list[str], good: int, send: Send, ingress: QueueClient
) -> None:
    Path("points.jsonl").write_text("\n".join(text), encoding="utf-8")
    for dry in (True, False):
        done = send("points.jsonl", *(["--dry-run"] if dry else []))
        *refusals, count = done.stderr.splitlines()[: len(said) + 1]
        assert (done.exit_code, refusals) == (1, said)
        assert count == f"{len(said)} refused, {good} are right."
        assert ("nothing was sent" in done.stdout) is dry
    assert messages(ingress) == []
    done = send("points.jsonl", "--skip-invalid")
    assert done.exit_code == 1
    assert len(values(messages(ingress))) == good


def test_a_dry_run_needs_no_queue(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MetricsStorage")
    done = send("-", "--dry-run", given=lines(3))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("3 points in 1 message (1 at the least), ")
    assert done.stdout.endswith("; nothing was sent.\n")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_nothing_to_send(text: str, send: Send) -> None:
    done = send("-", given=text)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "There is nothing to send.\nError: nothing was sent\n"


def test_the_window_is_that_of_the_relay(send: Send) -> None:
    time = datetime.now(UTC).replace(year=2020).isoformat()
    Path("local.settings.json").write_text(
        json.dumps({"Values": {"METRICS_PAST_MINUTES": str(60 * 24 * 365 * 200)}}), encoding="utf-8"
    )
    assert send("-", "--dry-run", given=line(1, time=time)).exit_code == 0
    Path("local.settings.json").unlink()
    assert send("-", "--dry-run", given=line(1, time=time)).exit_code == 1


async def test_many_small_messages_become_few_full_ones(backend: Backend, queue: str) -> None:
    sites = [f"{RESOURCE}{number}" for number in range(40)]
    points = [
        {"resourceId": sites[number % 40], "points": [{"metric": "Orders", "value": number}]}
        for number in range(6000)
    ]
    text = "\n".join(map(json.dumps, points))
    with manual_host(backend, queue) as host:
        env = {"MetricsStorage": backend.azurite.connection_string}
        arguments = ["send", "-", "--region", REGION, "--namespace", "Shop", "--queue", queue]
        done = CliRunner(env=env).invoke(main, arguments, input=text)
        assert done.exit_code == 0, done.output
        least = int(done.stdout.split("(")[1].split()[0])
        assert least <= host.queue_length() <= least + 1
        assert await host.process_queue() == []
        stored = backend.metrics(namespace="Shop")
        assert (sum(one["count"] for one in stored), host.rejections()) == (6000, [])
        assert sum(one["sum"] for one in stored) == sum(range(6000))


# --- Stopping and going on -----------------------------------------------------------------------


def test_a_queue_that_is_not_there_is_not_made(send: Send, backend: Backend) -> None:
    Path("points.jsonl").write_text(lines(2), encoding="utf-8")
    done = send("points.jsonl", "--queue", "metrisc")
    assert done.exit_code == 1
    assert "there is no queue 'metrisc' at http://127.0.0.1:" in done.stderr
    assert [one.name for one in Path().iterdir()] == ["points.jsonl"]
    assert "metrisc" not in [one.name for one in backend.storage.list_queues()]


@pytest.mark.parametrize(("at", "found"), [(1, 5), (3, 3), (6, 0)])
def test_going_on_at_a_line(at: int, found: int, send: Send, ingress: QueueClient) -> None:
    Path("points.jsonl").write_text("\n" + lines(4, begin=2), encoding="utf-8")
    done = send("points.jsonl", "--from-line", str(at + 1))
    expected = [number for number in range(2, 6) if number >= at + 1]
    assert values(messages(ingress)) == expected
    assert done.exit_code == (0 if expected else 1)


def test_going_on_at_an_element(send: Send, ingress: QueueClient) -> None:
    text = json.dumps([json.loads(line(number)) for number in range(4)], indent=1)
    assert send("-", "--from-line", "3", given=text).exit_code == 0
    assert values(messages(ingress)) == [2, 3]


class Door:
    """Lets the first put in; the others not until it is opened: storage answers, or is silent."""

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.open = False

    def __call__(self, passage: Passage) -> Answer | None:
        if passage.kind != "put" or passage.number == 1 or self.open:
            return passage.forward()
        return None if self.silent else (403, {}, b"")


@pytest.mark.parametrize("by", ["file", "string"])
def test_the_command_that_goes_on_has_all_options(
    by: str,
    backend: Backend,
    queue: str,
    ingress: QueueClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    backend.storage.create_queue(queue)
    Path("points.jsonl").write_text(f"{lines(5000)}oops", encoding="utf-8")
    door = Door()
    with toll(backend.azurite.connection_string, door) as string:
        settings = {"Values": {"MetricsStorage": string}}
        Path("my app.json").write_text(json.dumps(settings), encoding="utf-8")
        monkeypatch.setenv("CONNECTION_STRING", string)
        where = ["--settings", "my app.json"] if by == "file" else ["--connection", string]
        options = ["--skip-invalid", "--threads", "1", "--queue", queue, *where]
        first = CliRunner().invoke(main, ["send", "points.jsonl", *options])
        assert (first.exit_code, string in first.stderr) == (1, False)
        (command,) = re.findall("Go on with: python -m tools (send .*)", first.stderr)
        words = shlex.split(os.path.expandvars(command))
        assert set(options) < set(words)
        door.open = True
        second = CliRunner().invoke(main, words)
    assert second.exit_code == 1, second.output  # For the last line.
    assert "1 refused, " in second.stderr
    assert sorted(values(messages(ingress))) == list(range(5000))


@pytest.mark.parametrize(
    ("silent", "away"),
    [(True, False), (False, True)],
    ids=["no answer", "refused, in a folder that cannot be written"],
)
def test_what_standard_input_gave_is_kept(
    silent: bool, away: bool, send: Send, backend: Backend, ingress: QueueClient, tmp_path: Path
) -> None:
    if away:
        Path("gone").mkdir()
        os.chdir("gone")
        Path("../gone").rmdir()
    with toll(backend.azurite.connection_string, Door(silent=silent)) as string:
        done = send("-", "--connection", string, "--threads", "1", given=lines(5000))
    assert done.exit_code == 1
    assert ("may be in the queue already" in done.stderr) is silent
    (name,) = re.findall(r"What is left, .* points, is in (\S+);", done.stderr)
    os.chdir(tmp_path)
    file = Path(name)
    assert file.is_absolute() is away
    assert send(str(file)).exit_code == 0
    file.unlink()
    assert sorted(values(messages(ingress))) == list(range(5000))


def test_a_point_that_is_not_sent_leaves_no_file(send: Send, backend: Backend) -> None:
    door = Door()
    with toll(backend.azurite.connection_string, door) as string:
        point = ["--metric", "x", "--value", "1", "--connection", string]
        assert send(*point).exit_code == 0
        done = send(*point)
    assert (done.exit_code, list(Path().iterdir())) == (1, [])
    assert "Storage Queue Data Message Sender" in done.stderr


def test_a_file_that_is_asked_for_wins_over_the_environment(
    send: Send, ingress: QueueClient, backend: Backend
) -> None:
    other = f"{ingress.queue_name}-other"
    values_of = {"Values": {"METRICS_QUEUE": other}}
    with backend.storage.create_queue(other) as client:
        Path("local.settings.json").write_text(json.dumps(values_of), encoding="utf-8")
        assert send("-", given=line(1)).exit_code == 0
        assert values(messages(ingress)) == [1]
        assert send("-", "--settings", "local.settings.json", given=line(2)).exit_code == 0
        assert values(messages(client)) == [2]
