"""A queue trigger from end to end: the host in a process of its own, the real Azurite."""

from __future__ import annotations

import base64
import re
import signal

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueServiceClient

from local.functions.queue_storage import QueueStorage

from .support import APP, QUEUE_TRIGGER, RunHost, count, eventually, runs


def poisoned(poison: QueueClient) -> str:
    """Return the text of the message that comes into the poison queue."""
    eventually(lambda: count(poison), "a message in the poison queue")
    return str(poison.peek_messages()[0].content)


def test_a_message_that_succeeded_is_deleted(
    queue: QueueClient, poison: QueueClient, run_host: RunHost
) -> None:
    queue.send_message("hello")
    host = run_host()
    host.wait_for("ran hello count=1 ")
    eventually(lambda: count(queue) == 0, "the message deleted")
    host.stop()
    assert "Failed" not in host.output
    with pytest.raises(ResourceNotFoundError):
        poison.get_queue_properties()


def test_a_message_that_fails_runs_again_until_it_is_poison(
    queue: QueueClient, poison: QueueClient, run_host: RunHost
) -> None:
    queue.send_message("fail")
    host = run_host(queues={"visibilityTimeout": "00:00:01"})
    assert poisoned(poison) == "fail"
    eventually(lambda: count(queue) == 0, "the original deleted")
    host.stop()
    assert [run.split()[2] for run in runs(host)] == ["count=1", "count=2"]
    failed = r"Executed 'Functions.work' \(Failed, Id=[-0-9a-f]{36}, Duration=\d+ms\)"
    assert len(re.findall(failed, host.output)) == 2
    assert host.output.count("RuntimeError: told to fail") == 2


def test_an_answer_without_a_return_binding_is_a_failure(
    queue: QueueClient, poison: QueueClient, run_host: RunHost
) -> None:
    queue.send_message("answer")
    host = run_host(queues={"maxDequeueCount": 1})
    assert poisoned(poison) == "answer"
    host.stop()
    assert "'work' without a $return binding returned a non-None value" in host.output


def test_a_message_dequeued_too_often_is_poison_without_a_run(
    queue: QueueClient, poison: QueueClient, run_host: RunHost
) -> None:
    queue.send_message("hello")
    taken = queue.receive_message()
    assert taken is not None
    queue.update_message(taken.id, taken.pop_receipt, visibility_timeout=0)
    host = run_host(queues={"maxDequeueCount": 1})
    assert poisoned(poison) == "hello"
    host.stop()
    assert runs(host) == []


def test_base64_is_decoded_and_everything_else_is_poison_without_a_run(
    queue: QueueClient, poison: QueueClient, run_host: RunHost
) -> None:
    queue.send_message('{"plain": "text"}')
    host = run_host(queues={"messageEncoding": "base64"})
    assert poisoned(poison) == '{"plain": "text"}'
    queue.send_message(base64.b64encode(b"hello").decode())
    host.wait_for("ran hello ")
    eventually(lambda: count(queue) == 0, "both gone")
    host.stop()
    assert len(runs(host)) == 1


def test_members_of_the_body_leave_the_metadata_alone(
    queue: QueueClient, run_host: RunHost
) -> None:
    body = '{"do": "nothing", "ID": {}, "dequeueCount": "x", "insertionTime": 5}'
    sent = queue.send_message(body)
    host = run_host()
    host.wait_for(f"ran {re.escape(body)} count=1 id={sent.id} ")
    eventually(lambda: count(queue) == 0, "the message deleted")


def test_no_more_than_batch_size_and_threshold_are_in_work(
    queue: QueueClient, run_host: RunHost
) -> None:
    for body in ["hello", *["hold"] * 7]:
        queue.send_message(body)
    host = run_host(queues={"batchSize": 2, "newBatchThreshold": 1})
    # The first batch leaves one in work, which makes room for another batch.
    eventually(lambda: len(runs(host)) == 4, "three held")
    run_host.go()
    eventually(lambda: count(queue) == 0, "all done")
    host.stop()
    assert len(runs(host)) == 8
    assert max(int(run.split("most=")[1]) for run in runs(host)) == 3


async def test_a_renewed_message_is_deleted_with_its_new_receipt(
    service: QueueServiceClient, queue: QueueClient
) -> None:
    queue.send_message("hello")
    storage = QueueStorage(service, queue.queue_name)
    (message,) = await storage.take(1, invisibility=600)
    first = message.pop_receipt
    await storage.hide(message, 600)
    assert message.pop_receipt != first
    await storage.delete(message)
    assert count(queue) == 0


def test_a_crash_hides_a_message_and_counts(queue: QueueClient, run_host: RunHost) -> None:
    queue.send_message("hold")
    crashing = run_host(LOCAL_CRASH_INVISIBILITY="1")
    crashing.wait_for("ran hold count=1 ")
    crashing.kill()
    run_host.go()
    run_host().wait_for("ran hold count=2 ")
    eventually(lambda: count(queue) == 0, "the message deleted")


def test_cancelled_error_gives_no_answer(queue: QueueClient, run_host: RunHost) -> None:
    queue.send_message("cancel")
    host = run_host(APP, "--grace", "0.1", LOCAL_CRASH_INVISIBILITY="1")
    host.wait_for("'Functions.work' .* was left by CancelledError and gives no answer")
    queue.send_message("hello")  # The loop is alive …
    host.wait_for("ran hello ")
    eventually(lambda: count(queue) == 1, "only the message without an answer left")
    host.signal(signal.SIGTERM)
    assert host.wait() == 1  # … and the message is held to the end.
    assert "error: 1 invocations cut after 0.1 s" in host.output


def test_a_queue_that_does_not_exist_yet_is_waited_for(
    service: QueueServiceClient, queue: QueueClient, run_host: RunHost
) -> None:
    name = f"{queue.queue_name}-later"
    host = run_host(QUEUE=name)
    host.wait_for(f"Queue '{name}' does not exist yet")
    service.create_queue(name).send_message("hello")
    host.wait_for("ran hello ")


def test_async_functions_share_one_loop_in_the_main_thread(
    queue: QueueClient, run_host: RunHost
) -> None:
    source = """
import asyncio
import threading
import azure.functions as func

app = func.FunctionApp()
loops = set()
both = asyncio.Event()
arrived = 0

TRIGGER
async def work(message: func.QueueMessage) -> None:
    global arrived
    arrived += 1
    if arrived == 2:
        both.set()
    await both.wait()
    loops.add(asyncio.get_running_loop())
    main = threading.current_thread() is threading.main_thread()
    print(f"loops={len(loops)} main={main}", flush=True)
""".replace("TRIGGER", QUEUE_TRIGGER)
    queue.send_message("a")
    queue.send_message("b")
    host = run_host(source)
    eventually(lambda: host.output.count("loops=1 main=True") == 2, "two runs on one loop")


def test_an_app_that_exits_ends_the_host(queue: QueueClient, run_host: RunHost) -> None:
    source = APP.replace(
        'if what == "fail":', 'if what == "exit":\n            raise SystemExit(7)'
    )
    queue.send_message("hold")
    host = run_host(source)
    host.wait_for("ran hold ")
    queue.send_message("exit")
    assert host.wait() == 7
