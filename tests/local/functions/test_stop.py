"""What ends the host: a signal, which may cut invocations, and a storage service that fails."""

from __future__ import annotations

import base64
import signal
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from local.azurite import ACCOUNT_KEY, Azurite
from local.functions import connections, host

from .support import APP, RunHost, count, eventually, runs

SHUTTING_DOWN = "An unhandled exception has occurred. Host is shutting down."


def test_the_times_are_those_of_azure() -> None:
    assert (host.GRACE, host.CLOSING, connections.PATIENCE) == (10, 0.4, 21)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_messages_are_taken_while_invocations_run(
    number: signal.Signals, queue: QueueClient, run_host: RunHost
) -> None:
    queue.send_message("hold")
    running = run_host(APP, "--grace", "60")
    running.wait_for("ran hold ")
    running.signal(number)
    running.wait_for("Stopping; 1 invocations to finish")
    queue.send_message("late")
    running.wait_for("ran late ")
    run_host.go()
    assert running.wait() == 0
    assert count(queue) == 0


def test_with_the_drain_setting_no_message_is_taken(queue: QueueClient, run_host: RunHost) -> None:
    queue.send_message("hold")
    running = run_host(
        APP,
        "--grace",
        "60",
        queues={"batchSize": 1, "newBatchThreshold": 0},  # No poll is under way beside the run.
        FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING="True",
    )
    running.wait_for("ran hold ")
    running.signal(signal.SIGTERM)
    running.wait_for("Stopping; 1 invocations to finish")
    queue.send_message("late")
    run_host.go()
    assert running.wait() == 0
    assert [message.content for message in queue.peek_messages()] == ["late"]
    assert count(queue) == 1


@pytest.mark.parametrize("drain", ["true", ""])
def test_what_does_not_end_in_time_is_cut(
    drain: str, queue: QueueClient, run_host: RunHost
) -> None:
    queue.send_message("hold")
    running = run_host(APP, "--grace", "0.1", FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING=drain)
    running.wait_for("ran hold ")
    running.signal(signal.SIGTERM)
    assert running.wait() == 1
    assert "error: 1 invocations cut after 0.1 s" in running.output
    assert count(queue) == 1  # It stays invisible for as long as it was taken.


TIMER_APP = """
import asyncio
import azure.functions as func

app = func.FunctionApp()

@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
async def tick(timer: func.TimerRequest) -> None:
    print("ticking", flush=True)
    await asyncio.sleep(3600)
"""


def test_a_run_of_a_timer_is_cut(run_host: RunHost) -> None:
    running = run_host(TIMER_APP, "--grace", "0.1")
    running.wait_for("ticking")
    running.signal(signal.SIGTERM)
    assert running.wait() == 1
    assert "error: 1 invocations cut after 0.1 s" in running.output


def test_a_second_signal_ends_the_host_at_once(queue: QueueClient, run_host: RunHost) -> None:
    queue.send_message("hold")
    host = run_host()
    host.wait_for("ran hold ")
    host.signal(signal.SIGTERM)
    host.wait_for("Stopping")
    host.signal(signal.SIGTERM)
    assert host.wait() == 128 + signal.SIGTERM


def test_a_restart_of_the_storage_service_is_survived(run_host: RunHost, tmp_path: Path) -> None:
    with (
        Azurite(folder=tmp_path / "azurite") as azurite,
        QueueServiceClient.from_connection_string(azurite.connection_string) as service,
        service.create_queue("metrics") as queue,
    ):
        for number in range(150):
            queue.send_message(f"m{number}")
        host = run_host(
            APP,
            "--storage-patience",
            "90",
            STORAGE=azurite.connection_string,
            QUEUE="metrics",
            LOCAL_CRASH_INVISIBILITY="2",
        )
        eventually(lambda: len(runs(host)) > 20, "some runs")
        azurite.restart()
        eventually(lambda: count(queue) == 0, "all done")
        host.signal(signal.SIGTERM)
        assert host.wait() == 0
        assert {run.split()[1] for run in runs(host)} == {f"m{number}" for number in range(150)}


def test_a_storage_service_that_does_not_answer_ends_the_host(run_host: RunHost) -> None:
    with Azurite() as azurite:
        running = run_host(APP, "--storage-patience", "0", STORAGE=azurite.connection_string)
        running.wait_for("does not exist yet")
    assert running.wait() == 1
    assert SHUTTING_DOWN in running.output


def test_403_ends_the_host_without_another_try(azurite: Azurite, run_host: RunHost) -> None:
    key = base64.b64encode(b"another key").decode()
    connection = azurite.connection_string.replace(ACCOUNT_KEY, key)
    running = run_host(APP, "--storage-patience", "3600", STORAGE=connection)
    assert running.wait() == 1
    assert f"{SHUTTING_DOWN} Error of the storage service: AuthenticationFailed" in running.output
