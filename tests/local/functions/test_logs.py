"""Which log records of an app the host shows: those of invocations that run."""

from __future__ import annotations

import re

from azure.storage.queue import QueueClient

from .support import QUEUE_TRIGGER, RunHost, count, eventually

# The first message starts tasks that log while the second one runs.
APP = """
import asyncio
import logging
import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger("app")
log.warning("while the app is imported")
second = asyncio.Event()
tasks = []

async def note(text):
    await second.wait()
    log.warning("by a task of %s", text)
    await asyncio.create_task(nested("a task of " + text))

async def nested(text):
    log.warning("by a task of %s", text)

def start(text):
    tasks.append(asyncio.create_task(note(text)))

TRIGGER
async def work(message: func.QueueMessage) -> None:
    if message.get_body() == b"first":
        start("the first invocation")
        asyncio.get_running_loop().call_soon(start, "no invocation")
        log.warning("by the first invocation")
        logging.getLogger("azure.functions.relay").warning("by a part of the worker")
        await asyncio.create_task(nested("the running first invocation"))
        return
    second.set()
    await asyncio.gather(*tasks)
    await asyncio.to_thread(log.warning, "by a thread")
    log.warning("by the second invocation")
""".replace("TRIGGER", QUEUE_TRIGGER)


def test_a_record_is_shown_while_its_invocation_runs(queue: QueueClient, run_host: RunHost) -> None:
    host = run_host(APP)
    queue.send_message("first")
    eventually(lambda: count(queue) == 0, "the first invocation over")
    queue.send_message("second")
    host.wait_for("by the second invocation")
    host.stop()
    assert re.findall(r"WARNING \S+: (.*)", host.output) == [
        "by the first invocation",
        "by a task of the running first invocation",
        "by a task of no invocation",
        "by a task of a task of no invocation",
        "by the second invocation",
    ]
