"""However a program ends that has put points: they are sent, or it says that they are not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from azure.storage.queue import QueueClient

from local.processes import Child
from local.stack import ROOT, Backend

BEGIN = """
import os, signal, sys, threading, time
from azure.storage.queue import QueueClient
from tools.producer import NotSentError, Producer, exit_on_sigterm
address = os.environ["STORAGE"], os.environ["QUEUE"]
queue = QueueClient.from_connection_string(*address, retry_total=0)
metrics = Producer(queue, flush_seconds=1e9)
for number in range(1000):
    metrics.put("Orders", number)
"""
ALL = list(range(1000))


def environment(connection: str, queue: str) -> dict[str, str]:
    return {**os.environ, "STORAGE": connection, "QUEUE": queue}


def run(backend: Backend, queue: str, program: str, connection: str = "") -> tuple[int, str]:
    """Exit status, and what was printed, of a program that put a thousand points."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + program],
        cwd=ROOT,
        env=environment(connection or backend.azurite.connection_string, queue),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def sent(client: QueueClient) -> list[float]:
    """The values of all points in the queue."""
    found = [json.loads(message.content) for message in client.receive_messages()]
    return sorted(point["value"] for message in found for point in message["points"])


ENDINGS = {
    "at the end of the program": ("", 0, ""),
    "by sys.exit": ("sys.exit(3)", 3, ""),
    "by an exception": ("raise LookupError('no such thing')", 1, "LookupError: no such thing"),
    "by an exception in a with block": (
        "with metrics:\n    raise LookupError('no such thing')",
        1,
        "LookupError: no such thing",
    ),
    "by Ctrl-C": ("signal.raise_signal(signal.SIGINT)", -signal.SIGINT, "KeyboardInterrupt"),
    "by SIGTERM": ("exit_on_sigterm(); signal.raise_signal(signal.SIGTERM)", 143, ""),
    "with a thread that goes on for a while": (
        "threading.Thread(target=lambda: metrics.put('Orders', 1000)).start()",
        0,
        "",
    ),
}


@pytest.mark.parametrize(("program", "status", "said"), ENDINGS.values(), ids=ENDINGS)
def test_what_was_put_is_sent(
    backend: Backend, queue: str, program: str, status: int, said: str
) -> None:
    client = backend.storage.create_queue(queue)
    found, output = run(backend, queue, program)
    assert (found, said in output) == (status, True), output
    assert sent(client) == (ALL if "Thread" not in program else [*ALL, 1000])


def test_sigterm_from_outside_in_the_middle_of_puts(backend: Backend, queue: str) -> None:
    client = backend.storage.create_queue(queue)
    program = """
exit_on_sigterm()
put = 1000
try:
    print("ready", flush=True)
    while True:
        metrics.put("Orders", put)
        put += 1
finally:
    print("put", put, flush=True)
"""
    env = environment(backend.azurite.connection_string, queue)
    with Child("producer", [sys.executable, "-c", BEGIN + program], env=env, cwd=ROOT) as child:
        child.wait_for("ready")
        child.signal(signal.SIGTERM)
        assert child.wait(timeout=60) == 143
        put = int(child.wait_for(r"put (\d+)")[1])
    found = sent(client)
    # The signal may have come after a point was taken and before it was counted.
    assert found in (list(range(put)), list(range(put + 1)))


def test_what_cannot_be_sent_is_said(backend: Backend, queue: str) -> None:
    nobody = "http://127.0.0.1:9/devstoreaccount1"
    connection = backend.azurite.connection_string.replace(backend.azurite.queue_endpoint, nobody)
    assert nobody in connection
    status, output = run(backend, queue, "", connection)
    assert status == 0
    assert "1000 points were not sent: ServiceRequestError: " in output
    assert output.strip().endswith("the program ends, they are lost")


def test_a_forked_process_leaves_what_was_put_to_its_parent(backend: Backend, queue: str) -> None:
    client = backend.storage.create_queue(queue)
    program = """
import warnings
warnings.simplefilter("ignore")  # That a process with threads forks.
child = os.fork()
if child == 0:
    try:
        metrics.put("Orders", 5000)
    except RuntimeError as exc:
        print(exc, flush=True)
    with Producer(QueueClient.from_connection_string(*address)) as own:
        own.put("Orders", 6000)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
metrics.put("Orders", 7000)
"""
    status, output = run(backend, queue, program)
    assert (status, output.strip()) == (
        0,
        "this Producer was made before a fork; make one in each process",
    )
    assert sent(client) == [*ALL, 6000, 7000]


def test_connect_signs_in_by_a_connection_string(backend: Backend, queue: str) -> None:
    client = backend.storage.create_queue(queue)
    program = """
with Producer.connect(*address, namespace="Shop") as other:
    other.put("Orders", 1000)
"""
    assert run(backend, queue, program) == (0, "")
    assert sent(client) == [*ALL, 1000]
