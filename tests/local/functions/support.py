"""Share a toy app, a host that runs it, and waiting for a condition."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from local.processes import Child

__all__ = [
    "APP",
    "FAST",
    "QUEUE_TRIGGER",
    "READY",
    "ROOT",
    "RunHost",
    "count",
    "eventually",
    "runs",
]

ROOT = Path(__file__).parents[3]
DEADLINE = 300.0  # Seconds; never reached when all is well.
READY = "Functions host ready: .*"

# The queue options of a test that does not care.
FAST = {
    "messageEncoding": "none",
    "maxPollingInterval": "00:00:00.1",
    "maxDequeueCount": 2,
}

# Of a function whose argument is message.
QUEUE_TRIGGER = """@app.queue_trigger(
    arg_name="message",
    queue_name="%QUEUE%",
    connection="STORAGE",
    data_type=func.DataType.BINARY,
)"""

# Prints each run and does what the body says; `hold` waits for a file named go in the app's folder.
APP = """
import asyncio
import json
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()
running = most = 0


TRIGGER
async def work(message: func.QueueMessage) -> None:
    global running, most
    running += 1
    most = max(most, running)
    body = message.get_body().decode()
    print(f"ran {body} count={message.dequeue_count} id={message.id} most={most}", flush=True)
    try:
        what = json.loads(body)["do"] if body.startswith("{") else body
        if what == "fail":
            raise RuntimeError("told to fail")
        if what == "answer":
            return "something"
        if what == "cancel":
            raise asyncio.CancelledError
        while what == "hold" and not Path("go").exists():
            await asyncio.sleep(0.01)
    finally:
        running -= 1
""".replace("TRIGGER", QUEUE_TRIGGER)

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str) -> T:
    """Return the first true value of `condition`, called again and again until a deadline."""
    deadline = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"it never happened: {what}"
        time.sleep(0.02)
    return value


def count(queue: QueueClient) -> int:
    """Count the messages in a queue, the invisible ones too; 0 if it does not exist."""
    try:
        return queue.get_queue_properties().approximate_message_count or 0
    except ResourceNotFoundError:
        return 0


def runs(host: Child) -> list[str]:
    """Return what the toy app printed at each run; of all runs, once the host was stopped."""
    return re.findall(r"^ran .*", host.output, re.MULTILINE)


@dataclass
class RunHost:
    """Writes an app into a folder and runs the host on it; ends the hosts it started."""

    app: Path
    settings: dict[str, str]
    hosts: list[Child] = field(default_factory=list)

    def __call__(
        self,
        source: str | None = APP,
        *options: str,
        queues: dict[str, object] | None = None,
        ready: bool = True,
        **settings: str,
    ) -> Child:
        """Return a running host, by default once it is ready."""
        if source is not None:
            (self.app / "function_app.py").write_text(source)
        section = {**FAST, **(queues or {})}
        document = {"version": "2.0", "extensions": {"queues": section}}
        (self.app / "host.json").write_text(json.dumps(document))
        # Nothing of the machine's own configuration may get in.
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        env |= {**self.settings, **settings}
        command: list[str | Path] = [sys.executable, "-m", "local.functions", "--app", self.app]
        host = Child("the host", [*command, *options], env=env, cwd=ROOT)
        self.hosts.append(host)
        if ready:
            host.wait_for(READY)
        return host

    def go(self) -> None:
        """Let the toy app finish the messages that it holds."""
        (self.app / "go").touch()
