"""`metric-relay send`: what is read, what is invalid, what is sent, and what is kept in a file."""

from __future__ import annotations

import base64
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from azure.storage.queue import (
    AccountSasPermissions,
    QueueClient,
    ResourceTypes,
    generate_account_sas,
)
from click.testing import CliRunner, Result

from local.azurite import Azurite
from local.stack import ROOT, Backend, run_app
from shared.model import Rollup, Series, Target, minute_of
from shared.text import utc_text
from tests.tools.fault_proxy import Answer, Request, fault_proxy
from tests.unit.rollups import NOW, REGION, RESOURCE
from tools.__main__ import main
from tools.send.reading import write

Send = Callable[..., Result]
Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]
ADDRESS = {"resourceId": RESOURCE, "region": REGION, "namespace": "Shop"}
PATIENCE = 120  # Seconds.
INVALID = '{"points": [{"metric": 3, "value": 1}]}'


def line(number: float, **members: Any) -> str:
    point = {"metric": "Orders", "value": number, **members}
    return json.dumps({**ADDRESS, "points": [point]})


def series(count: int) -> str:
    """Lines of points that are not added up."""
    return "".join(f"{line(n, dimensions={'N': str(n)})}\n" for n in range(count))


def document(number: int) -> dict[str, Any]:
    values = {"min": number, "max": number, "sum": number, "count": 1}
    base = {"metric": "Orders", "namespace": "Shop", "series": [values]}
    return {"resourceId": RESOURCE, "region": REGION, "data": {"baseData": base}}


@pytest.fixture
def send(backend: Backend, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Run the command in an empty folder, with a queue of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MetricsStorage", backend.azurite.connection_string)
    monkeypatch.setenv("METRICS_QUEUE", queue)
    backend.storage.create_queue(queue)

    def run(*arguments: str, given: str | bytes | None = None) -> Result:
        return CliRunner().invoke(
            main, ["send", *arguments], given, prog_name="metric-relay", catch_exceptions=False
        )

    return run


@pytest.fixture
def ingress(backend: Backend, queue: str) -> QueueClient:
    return backend.storage.get_queue_client(queue)


def messages(ingress: QueueClient) -> list[Any]:
    """Take all messages out of the queue."""
    return [json.loads(one.content) for one in ingress.receive_messages(messages_per_page=32)]


def points(found: list[Any]) -> list[dict[str, Any]]:
    documents = [one for body in found for one in (body if isinstance(body, list) else [body])]
    return [point for one in documents for point in one["points"]]


def numbers(found: list[Any]) -> list[int]:
    """Return the values of dimension N."""
    return sorted(int(point["dimensions"]["N"]) for point in points(found))


def unsent() -> str:
    (file,) = Path().glob("unsent-*.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600
    return file.read_text(encoding="utf-8")


# --- One point ------------------------------------------------------------------------------------


def test_a_point_is_enqueued(send: Send, ingress: QueueClient) -> None:
    done = send(
        *("--metric", "QueueDepth", "--value", "7", "--time", datetime.now(UTC).isoformat()),
        *("--dimension", "QueueName=images", "--dimension", "Kind=a=b"),
        *("--resource-id", RESOURCE, "--region", "West Europe", "--namespace", "Shop"),
    )
    assert (done.exit_code, done.stdout, done.stderr) == (0, "Sent 1 point in 1 message.\n", "")
    (message,) = messages(ingress)
    (point,) = message.pop("points")
    assert message == {**ADDRESS, "region": "westeurope"}
    assert datetime.now(UTC) - datetime.fromisoformat(point.pop("time")) < timedelta(minutes=2)
    dimensions = {"Kind": "a=b", "QueueName": "images"}
    assert point == {"metric": "QueueDepth", "dimensions": dimensions, "value": 7}


WRONG_POINTS = {
    "--metric x --value nan": "points[0].value: not a finite double",
    "--metric x --value 1 --time 2020-01-01T00:00:00Z": "points[0].time: 2020-01-01T00:00:00Z is ",
    "--metric x --value 1 --dimension A=": "points[0].dimensions.A: 0 characters, at least 1",
}


@pytest.mark.parametrize("options", WRONG_POINTS)
def test_a_wrong_point_is_not_sent(options: str, send: Send, ingress: QueueClient) -> None:
    done = send(*options.split())
    assert done.exit_code == 1
    assert done.stderr.startswith(WRONG_POINTS[options])
    assert done.stderr.endswith("\n1 invalid point.\n")
    assert messages(ingress) == []
    assert list(Path().iterdir()) == []


USAGE = {
    "--watch": "give FILE (- for standard input), or --metric and --value for one point",
    "--value 1": "give FILE (- for standard input), or --metric and --value for one point",
    "- --metric x": "FILE has points of its own",
    "- --dimension A=1": "FILE has points of its own",
    "--metric x --value 1 --dimension A": "'A': expected NAME=VALUE",
    "--metric x --value 1 --dimension A=1 --dimension A=2": "'A' is given twice",
    "nothing.jsonl": "No such file or directory",
    "--metric x --value 1 --resource-id /subscriptions/1": "resourceId: '/subscriptions/1' is a",
    "- --region west-europe": "region: 'west-europe' is not a region",
    f"- --namespace {'n' * 257}": "length <= 256",
}


@pytest.mark.parametrize("options", USAGE)
def test_wrong_usage_is_explained(options: str, send: Send) -> None:
    done = send(*options.split(), given="")
    assert done.exit_code == 2
    assert USAGE[options] in done.stderr


# --- Files ----------------------------------------------------------------------------------------

SHAPES: dict[str, Callable[[list[Any]], str]] = {
    "lines": lambda three: "\n".join(map(json.dumps, three)),
    "lines with a byte order mark, CRLF and gaps": lambda three: (
        "\ufeff\r\n" + "\r\n\r\n".join(map(json.dumps, three)) + "\r\n"
    ),
    "an array": json.dumps,
    "an array over lines": lambda three: json.dumps(three, indent=2),
    "an array, an element a line": lambda three: f"[\n{','.join(map(json.dumps, three))}\n]\n",
    "lines of arrays": lambda three: f"{json.dumps(three[:2])}\n{json.dumps(three[2:])}",
    "lines of base64": lambda three: "\n".join(
        base64.b64encode(json.dumps(one).encode()).decode() for one in three
    ),
    "a document over lines": lambda three: json.dumps(
        {**ADDRESS, "points": [{"metric": "Orders", "value": n} for n in range(len(three))]},
        indent=1,
    ),
}


@pytest.mark.parametrize("write", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("piped", [False, True], ids=["file", "stdin"])
def test_messages_in_every_shape(
    write: Callable[[list[Any]], str], piped: bool, send: Send, ingress: QueueClient
) -> None:
    text = write([json.loads(line(0)), document(1), json.loads(line(2))]).encode()
    Path("points.jsonl").write_bytes(text)
    done = send("-", given=text) if piped else send("points.jsonl")
    assert (done.exit_code, done.stdout) == (0, "Sent 3 points in 1 message.\n"), done.output
    (point,) = points(messages(ingress))
    assert (point["min"], point["max"], point["sum"], point["count"]) == (0, 2, 3, 3)


WRONG_FILES = {
    "a line": (
        [line(0), INVALID, line(2)],
        ["points.jsonl:2: points[0].metric: Expected `str`, got `int`"],
        2,
    ),
    "the first line": (
        ["", '{"points": oops}', line(1)],
        ["points.jsonl:2: not valid JSON: invalid character (byte 11)"],
        1,
    ),
    "no JSON": (["Orders 7", line(1)], ["points.jsonl:1: body: 'Orders 7' is neither JSON"], 1),
    "one point of a line": (
        [json.dumps({**ADDRESS, "points": [{"metric": "a", "value": 1}, {"metric": "b"}]})],
        ["points.jsonl:1: points[1]: no value is given; give exactly one of value, values"],
        1,
    ),
    "an element": (
        ["[", f"{line(0)},", '{"points": []},', '{"pionts": []}', "]"],
        [
            "points.jsonl[1]: points: Expected `array` of length >= 1",
            "points.jsonl[2]: unknown member 'pionts'; did you mean points?",
        ],
        1,
    ),
    "an open array": (["[", line(0)], ["points.jsonl:1: body: not valid JSON: Input data was"], 1),
    "an empty array after a document over lines": (
        [line(0).replace(", ", ",\n"), "[]"],
        ["points.jsonl: body: "],
        0,
    ),
    "numbers that are not finite": (
        [line(float("nan")), line(1), line(float("-inf"))],
        [f"points.jsonl:{number}: points[0].value: not a finite double" for number in (1, 3)],
        1,
    ),
    "an element that is not finite": (
        ["[", f"{line(float('inf'))},", line(1), "]"],
        ["points.jsonl[0]: points[0].value: not a finite double"],
        1,
    ),
    "two documents in a line": (
        [f"{line(0)} {INVALID}", line(1)],
        ["points.jsonl:1: points[0].metric: Expected `str`, got `int`"],
        2,
    ),
    "escapes for a terminal": (["\x1b[2J"], ["points.jsonl:1: body: '\\x1b[2J' is neither"], 0),
}


@pytest.mark.parametrize(("text", "errors", "good"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_valid_points_are_sent_and_invalid_ones_are_named_and_kept(
    text: list[str], errors: list[str], good: int, send: Send, ingress: QueueClient
) -> None:
    Path("points.jsonl").write_text("\n".join(text), encoding="utf-8")
    dry = send("points.jsonl", "--dry-run")
    assert (dry.exit_code, messages(ingress)) == (1, [])
    assert [one.name for one in Path().iterdir()] == ["points.jsonl"]
    done = send("points.jsonl")
    for found in (dry, done):
        assert found.exit_code == 1
        said = found.stderr.splitlines()
        assert len(said) > len(errors)
        for shown, expected in zip(said, errors, strict=False):
            assert shown.startswith(expected)
    assert sum(point.get("count", 1) for point in points(messages(ingress))) == good
    again = send(*(str(file) for file in Path().glob("unsent-*")))
    assert (again.exit_code, f"{len(errors)} invalid point" in again.stderr) == (1, True)


def test_what_was_not_sent_can_be_corrected_and_sent(send: Send, ingress: QueueClient) -> None:
    done = send("-", given=f"{series(1)}{INVALID}\n{{\n")
    assert done.stdout == "Sent 1 point in 1 message.\n"
    assert unsent() == '{"points":[{"metric": 3, "value": 1}]}\n{\n'
    (file,) = Path.cwd().glob("unsent-*")
    assert done.stderr.splitlines()[-1] == (
        f"What was not sent is in {file}. Correct the invalid points, then send the file with the "
        f"same options: metric-relay send {file}"
    )


def test_utf_16_is_refused(send: Send) -> None:
    Path("points.jsonl").write_text(line(1), encoding="utf-16")
    done = send("points.jsonl")
    assert (done.exit_code, done.stderr) == (1, "Error: points.jsonl is UTF-16; send UTF-8\n")


def test_one_document_may_be_longer_than_a_message(send: Send, ingress: QueueClient) -> None:
    many = [
        {"metric": "Orders", "value": number, "dimensions": {"N": str(number)}}
        for number in range(5000)
    ]
    assert send("-", given=json.dumps({**ADDRESS, "points": many})).exit_code == 0
    found = messages(ingress)
    assert len(found) > 1
    assert numbers(found) == list(range(5000))


def test_the_result_as_json(send: Send) -> None:
    result = json.loads(send("-", "--json", given=f"{line(1)}\n{INVALID}").stdout)
    assert [Path(result.pop("unsentFile"))] == list(Path.cwd().glob("unsent-*"))
    assert result == {
        "validPoints": 1,
        "invalidPoints": 1,
        "messagesSent": 1,
        "messagesNotSent": 0,
        "error": None,
        "watch": None,
    }


def test_a_dry_run_needs_no_queue(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MetricsStorage")
    done = send("-", "--dry-run", given=series(3))
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == "3 valid points, 1 message; nothing was sent.\n"


def test_an_empty_file_is_an_error(send: Send) -> None:
    done = send("-", given="\n \n")
    assert (done.exit_code, done.stderr) == (1, "There are no points.\n")


def test_the_window_is_that_of_the_settings(send: Send) -> None:
    text = line(1, time=(datetime.now(UTC) - timedelta(minutes=25)).isoformat())
    assert send("-", "--dry-run", given=text).exit_code == 1
    settings = {"Values": {"METRICS_PAST_MINUTES": "30"}}
    Path("local.settings.json").write_text(json.dumps(settings), encoding="utf-8")
    assert send("-", "--dry-run", given=text).exit_code == 0


def test_a_time_is_late_in_its_minute_but_not_in_the_future() -> None:
    """A point must not expire because its time was cut to the minute."""
    rollup = Rollup(Target(REGION, RESOURCE))
    for minutes in (21, 1, 0, -2):
        rollup.add(NOW - timedelta(minutes=minutes), Series.of("Shop", "Orders", ()), 1.0)
    (message,) = write([[rollup]], NOW)
    minute = minute_of(NOW)
    assert [point["time"] for point in points([json.loads(message)])] == [
        utc_text(minute - timedelta(minutes=21) + timedelta(seconds=59)),
        utc_text(minute - timedelta(seconds=1)),
        utc_text(minute),
        utc_text(minute + timedelta(minutes=2)),
    ]


# --- Queues ---------------------------------------------------------------------------------------


def test_a_missing_queue_is_an_error(send: Send, backend: Backend) -> None:
    done = send("-", "--queue", "metrisc", given=line(2))
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: there is no queue 'metrisc' at http://127.0.0.1:")
    (point,) = points([json.loads(unsent())])
    assert point["value"] == 2
    assert "metrisc" not in [one.name for one in backend.storage.list_queues()]


def test_a_refused_connection_is_reported_at_once(send: Send) -> None:
    with Azurite() as azurite:
        string = azurite.connection_string
    done = send("--metric", "x", "--value", "1", "--connection", string)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: nothing listens at 127.0.0.1:")


KEY = "c2VjcmV0LWtleQ=="


@pytest.mark.parametrize(
    "options",
    [
        ("--account", f"AccountName=orders;AccountKey={KEY}"),
        ("--account", f"orders.queue.core.windows.net?sig={KEY}"),
        ("--connection", f"AccountKey={KEY}"),
        ("--connection", f"x;{KEY}"),
    ],
)
def test_a_secret_is_not_printed(options: tuple[str, str], send: Send) -> None:
    done = send("-", *options, given=line(1))
    assert (done.exit_code, done.stdout, KEY in done.stderr) == (2, "", False)
    assert f"Error: {options[0]} is " in done.stderr


def test_without_settings_it_names_the_options(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MetricsStorage")
    done = send("-", given=line(1))
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: MetricsStorage is not set")
    assert done.stderr.endswith("; or use --settings or --account\n")


def test_an_account_needs_https(send: Send) -> None:
    done = send("-", "--account", "http://127.0.0.1:10001/devstoreaccount1", given=line(1))
    assert done.exit_code == 2
    assert "expected https://NAME.queue.core.windows.net" in done.stderr


@pytest.fixture
def read_only(backend: Backend) -> str:
    """A connection string that allows looking at queues, and no sending."""
    account = backend.storage.credential
    signature = generate_account_sas(
        account.account_name,
        account.account_key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    return f"QueueEndpoint={backend.azurite.queue_endpoint};SharedAccessSignature={signature}"


def test_what_the_queue_does_not_take_is_kept(
    send: Send, ingress: QueueClient, read_only: str
) -> None:
    Path("points.jsonl").write_text(f"{series(12_000)}{INVALID}\n", encoding="utf-8")
    done = send("points.jsonl", "--connection", read_only)
    assert done.exit_code == 1
    assert "Storage Queue Data Message Sender" in done.stderr
    assert "sig=" not in done.stderr
    # What came after the error was not read, so not checked either.
    assert "invalid" not in done.stderr
    (file,) = Path().glob("unsent-*")
    second = send(str(file))
    assert (second.exit_code, "1 invalid point" in second.stderr) == (1, True), second.output
    assert numbers(messages(ingress)) == list(range(12_000))


def test_one_point_that_is_not_taken_leaves_no_file(send: Send, read_only: str) -> None:
    done = send("--metric", "x", "--value", "1", "--connection", read_only)
    assert (done.exit_code, list(Path().iterdir())) == (1, [])
    assert done.stdout == "Sent 0 messages; 1 not sent.\n"


def test_the_temporary_folder_is_used_if_the_current_one_is_gone(
    send: Send, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    Path("gone").mkdir()
    os.chdir("gone")
    Path("../gone").rmdir()
    done = send("-", given=f"{line(1)}\n{INVALID}")
    assert done.exit_code == 1
    os.chdir(tmp_path)
    assert f"What was not sent is in {tmp_path}/unsent-" in done.stderr
    assert "metric" in unsent()


@pytest.mark.parametrize("part", ["all", "the end"])
def test_valid_points_are_sent_even_if_no_file_can_be_written(
    part: str, send: Send, ingress: QueueClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if part == "all":
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", Mock(side_effect=OSError(28, "Full")))
        expected = "to a file: Full"
    else:  # As if the disk became full.
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        expected = "/unsent-"
    try:
        done = send("-", given=f"{INVALID}\n{INVALID}\n{line(7)}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (done.exit_code, done.stdout) == (1, "Sent 1 point in 1 message.\n")
    assert "2 invalid points.\nError: what was not sent cannot be written to " in done.stderr
    assert expected in done.stderr
    assert done.stderr.count("\n") == 4
    assert len(messages(ingress)) == 1


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no /proc")
def test_a_file_that_cannot_be_read_is_an_error(send: Send) -> None:
    done = send("/proc/self/mem")  # Its first page.
    assert (done.exit_code, done.stdout) == (1, "Sent 0 points in 0 messages.\n")
    assert done.stderr == "Error: /proc/self/mem cannot be read: Input/output error\n"


# --- Stopping -------------------------------------------------------------------------------------


@pytest.fixture
def process(send: Send, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """`send -` as a process that reads from a pipe; a test may add options."""
    command = [sys.executable, "-m", "tools", "send", "-", *getattr(request, "param", ())]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, text=True, env=env, stdin=pipe, stdout=pipe, stderr=pipe) as one:
        yield one
        one.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_the_rest(
    number: signal.Signals,
    process: subprocess.Popen[str],
    ingress: QueueClient,
    eventually: Eventually,
) -> None:
    assert process.stdin
    assert process.stderr
    lines = series(10_100).splitlines(keepends=True)
    process.stdin.writelines(lines[:10_050])
    process.stdin.flush()
    eventually(lambda: ingress.get_queue_properties().approximate_message_count, bool)
    process.send_signal(number)
    assert process.stderr.readline().startswith("Stopping; what is not sent yet goes into a file.")
    process.stdin.writelines(lines[10_050:])
    _, errors = process.communicate()
    assert process.returncode == 128 + number, errors
    kept = [json.loads(one) for one in unsent().splitlines()]
    assert numbers(messages(ingress) + kept) == list(range(10_100))


@pytest.fixture
def silent(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Make the queue service answer no message; the event is set when one has arrived."""
    has_arrived, is_over = threading.Event(), threading.Event()

    def handle(request: Request) -> Answer | None:
        if request.kind != "enqueue":
            return request.forward()
        has_arrived.set()
        is_over.wait()
        return None

    with fault_proxy(backend.azurite.connection_string, handle) as connection_string:
        monkeypatch.setenv("MetricsStorage", connection_string)
        yield has_arrived
        is_over.set()


def test_a_second_ctrl_c_waits_for_nothing(
    send: Send, silent: threading.Event, process: subprocess.Popen[str]
) -> None:
    assert process.stdin
    assert process.stderr
    process.stdin.write(series(10_000))
    process.stdin.flush()
    assert silent.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "Stopped at once; the rest was not read.\n"
    assert process.wait() == 130
    # A message may be there twice, if it was just being written.
    kept = [json.loads(one) for one in unsent().splitlines()]
    assert set(numbers(kept)) == set(range(10_000))


def test_ctrl_c_before_anything_is_sent(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.send.command.find_queues", Mock(side_effect=KeyboardInterrupt))
    done = send("-", given=line(1))
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "Stopped.\n")


# --- Watching -------------------------------------------------------------------------------------

FORBIDDEN = "/subscriptions/1/resourceGroups/g/providers/Microsoft.Web/sites/x"


def test_watch_waits_until_all_is_published(
    backend: Backend, queue: str, site: str, send: Send
) -> None:
    settings = {
        "METRICS_SAMPLE_SCHEDULE": "0 0 0 1 1 *",
        "METRICS_ALLOWED_SCOPES": site.partition("/resourceGroups")[0],
    }
    with run_app(backend, settings, queue=queue):
        address = {"resourceId": site, "region": REGION}
        good = json.dumps({**address, "points": [{"metric": "Orders", "value": 1}]})
        done = send("-", "--watch", given=good)
        assert (done.exit_code, done.stderr) == (0, ""), done.output
        assert len(backend.metrics(resourceId=site)) == 1
        done = send("-", "--watch", "--json", given=good.replace(site, FORBIDDEN))
        assert done.exit_code == 1
        assert json.loads(done.stdout)["watch"] == {"waiting": 0, "deadLetters": 1, "poison": 0}
        assert done.stderr == (
            "1 new dead letter. To see the reasons, with the same options of the queue: "
            "metric-relay dead-letter list\n"
        )


def test_watch_ends_at_its_timeout(backend: Backend, queue: str, send: Send) -> None:
    backend.storage.create_queue(f"{queue}-poison").send_message("old")
    done = send("-", "--watch", "--timeout", "0.1", given=line(1))
    assert (done.exit_code, done.stderr) == (1, "Still in the queue: 1 message.\n")


@pytest.mark.parametrize("process", [["--watch"]], indirect=True)
def test_watch_can_be_stopped(
    process: subprocess.Popen[str], ingress: QueueClient, eventually: Eventually
) -> None:
    assert process.stdin
    process.stdin.write(line(1))
    process.stdin.close()
    process.stdin = None
    eventually(lambda: ingress.get_queue_properties().approximate_message_count, bool)
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate()
    assert (process.returncode, said) == (143, "Sent 1 point in 1 message.\n")
    assert errors.startswith("Stopping; ")
