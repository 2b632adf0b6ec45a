"""What the host says of an app that it cannot run."""

from __future__ import annotations

from typing import Any

import pytest

from .support import FAST, RunHost

HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"
QUEUE = (
    '@app.queue_trigger(arg_name="message", queue_name="{}", connection="STORAGE", '
    "data_type=func.DataType.BINARY)\n"
)
TIMER = '@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")\n'
WORK = "async def work(message: func.QueueMessage) -> None: ...\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "{app}/function_app.py: defines 0 function apps, not 1"),
        (HEAD, "{app}/function_app.py: declares no functions"),
        (
            HEAD + '@app.route(route="x")\ndef web(req: func.HttpRequest) -> str: ...\n',
            (
                "function web: binding req: httpTrigger is not supported; "
                "this host runs queueTrigger and timerTrigger alone"
            ),
        ),
        (
            HEAD
            + TIMER
            + '@app.queue_output(arg_name="out", queue_name="q", connection="STORAGE")\n'
            + "def tick(timer: func.TimerRequest, out: func.Out[str]) -> None: ...\n",
            (
                "function tick: binding out: queue is not supported; "
                "this host runs queueTrigger and timerTrigger alone"
            ),
        ),
        (
            HEAD + "@app.function_name('x')\ndef x() -> None: ...\n",
            (
                "{app}/function_app.py: Function x does not have a trigger. A valid function must "
                "have one and only one trigger registered."
            ),
        ),
        (
            HEAD + QUEUE.format("metrics") + "async def work(msg: func.QueueMessage) -> None: ...",
            "function work: its parameters are (msg), but the trigger fills (message)",
        ),
        (
            HEAD + QUEUE.format("metrics") + "async def work(message, context): ...",
            "function work: its parameters are (message, context), but the trigger fills (message)",
        ),
        (
            HEAD + QUEUE.format("metrics") + "def work(message: func.QueueMessage) -> None: ...",
            "function work: is not async; this host runs async functions alone",
        ),
        (
            HEAD + QUEUE.format("metrics") + "async def work(message: int) -> None: ...",
            "function work: parameter message: <class 'int'> does not fit a queueTrigger",
        ),
        (
            HEAD + QUEUE.format("metrics").replace("BINARY", "STRING") + WORK,
            (
                "function work: the queue trigger has no data_type=func.DataType.BINARY; without "
                "it Azure copies members of the body, such as id, over the metadata of the message"
            ),
        ),
    ],
)
def test_errors(source: str, said: str, run_host: RunHost) -> None:
    host = run_host(source, ready=False)
    assert host.wait() == 1
    assert host.output == f"error: {said.format(app=run_host.app)}"


CONNECTION = "app setting {0}, {0}__queueServiceUri or {0}__accountName is missing"


@pytest.mark.parametrize(
    ("trigger", "said"),
    [
        (QUEUE.format("%MISSING%"), "queue_name: %MISSING%: app setting MISSING is missing"),
        (
            QUEUE.format("my_queue"),
            (
                "queue_name: my_queue: must be 3 to 63 letters, digits and single hyphens, none "
                "at the ends"
            ),
        ),
        (
            QUEUE.format("metrics").replace("STORAGE", "Other"),
            f"connection Other: {CONNECTION.format('Other')}",
        ),
        (
            TIMER.replace("timer", "message").replace("message_", "timer_").replace("0 *", "%NO%"),
            "schedule: %NO% * * * *: app setting NO is missing",
        ),
    ],
)
def test_a_wrong_setting_disables_one_function(trigger: str, said: str, run_host: RunHost) -> None:
    tick = f"{TIMER}async def tick(timer: func.TimerRequest) -> None: ...\n"
    work = "async def work(message) -> None: ...\n"
    host = run_host(f"{HEAD}{trigger}{work}{tick}", ready=False)
    host.wait_for(r"Functions host ready: tick \(timerTrigger 0 \* \* \* \* \*\)$")
    disabled = "The function is disabled; the host goes on without it."
    assert f"function work: {said}. {disabled}" in host.output


@pytest.mark.parametrize("value", ["True", "1", "false"])
@pytest.mark.parametrize("setting", ["AzureWebJobs.work.Disabled", "AzureWebJobs_work_Disabled"])
def test_a_setting_disables_a_function(setting: str, value: str, run_host: RunHost) -> None:
    tick = f"{TIMER}async def tick(timer: func.TimerRequest) -> None: ...\n"
    work = f"{TIMER}async def work(timer: func.TimerRequest) -> None: ...\n"
    environ: dict[str, Any] = {setting: value}
    host = run_host(HEAD + work + tick, ready=False, **environ)
    ready = host.wait_for("Functions host ready: .*")[0]
    said = f"function work: app setting {setting} is {value}. The function is disabled"
    assert ("work" not in ready) == (said in host.output) == (value != "false")
    assert "tick" in ready


def test_a_host_without_a_function_stays(run_host: RunHost) -> None:
    host = run_host(HEAD + QUEUE.format("%MISSING%") + WORK, ready=False)
    host.wait_for("Functions host ready: no function$")
    assert host.status is None


def test_an_import_error_is_shown_whole(run_host: RunHost) -> None:
    host = run_host("import no_such_module", ready=False)
    assert host.wait() == 1
    assert f'File "{run_host.app}/function_app.py", line 1, in <module>' in host.output
    assert host.output.endswith("ModuleNotFoundError: No module named 'no_such_module'")


def test_a_folder_without_an_app(run_host: RunHost) -> None:
    host = run_host(None, ready=False)
    assert host.wait() == 1
    assert host.output == (
        f"error: {run_host.app}/function_app.py: does not exist; --app names the app's folder"
    )


def test_a_bad_host_json_and_a_bad_crash_invisibility(run_host: RunHost) -> None:
    host = run_host(queues={**FAST, "batchSize": 64}, ready=False)
    assert host.wait() == 1
    assert host.output == (
        f"error: {run_host.app}/host.json: extensions.queues: "
        "Expected `int` <= 32 - at `$.batchSize`"
    )
    host = run_host(LOCAL_CRASH_INVISIBILITY="soon", ready=False)
    assert host.wait() == 1
    assert host.output == ("error: LOCAL_CRASH_INVISIBILITY: soon: must be whole seconds from 1")
