"""A replay that is killed at any request loses nothing; the next one does the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from local.processes import Child
from local.stack import OURS, ROOT
from tests.tools.fault_proxy import Answer, Request, fault_proxy

from .shell import Shell, dead_letter_texts, points
from .test_replay import metrics

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

NAMES = [f"m{number}" for number in range(40)]
ENDED = 60.0  # Seconds.
# The command, whose 40 messages are visible again a second after it was killed.
COMMAND = (
    "import tools.dead_letter.queue as queue; queue.MIN_VISIBILITY_TIMEOUT = 0; "
    "from tools.__main__ import main; main()"
)

# Kind and number of a request, and whether storage gets it before the process is killed.
FAST = [("enqueue", 3, True)]
SLOW = [
    ("delete", 9, False),
    ("receive", 1, True),
    ("receive", 2, False),
    ("enqueue", 1, False),
    ("enqueue", 1, True),
    ("enqueue", 33, True),
    ("enqueue", 40, False),
    ("delete", 1, False),
    ("delete", 1, True),
    ("delete", 20, False),
    ("delete", 40, True),
]


Handler = Callable[[Request, Child], Answer | None]


def replay(shell: Shell, handle: Handler) -> tuple[int, str]:
    """Run a replay in a process; return its exit code and what it printed."""
    started = threading.Event()
    children: list[Child] = []

    def handle_request(request: Request) -> Answer | None:
        started.wait()
        return handle(request, children[0])

    environ = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-c", COMMAND, "dead-letter", "replay", "--yes"]
    with fault_proxy(shell.connection_string, handle_request) as way:
        env = {**environ, **shell.env, "MetricsStorage": way}
        with Child("replay", command, env=env, cwd=ROOT) as child:
            children.append(child)
            started.set()
            return child.wait(ENDED), child.output


@pytest.mark.parametrize(
    ("kind", "number", "is_forwarded"),
    [*FAST, *(pytest.param(*moment, marks=pytest.mark.slow) for moment in SLOW)],
)
def test_nothing_is_lost(
    shell: Shell, eventually: Eventually, kind: str, number: int, is_forwarded: bool
) -> None:
    shell.put(*dead_letter_texts(*map(points, NAMES)))

    def handle(request: Request, child: Child) -> Answer | None:
        if (request.kind, request.number) != (kind, number):
            return request.forward()
        if is_forwarded:
            request.forward()
        child.signal(signal.SIGKILL)
        child.wait(ENDED)
        return None

    code, printed = replay(shell, handle)
    assert code == -signal.SIGKILL, printed

    def replay_rest() -> int:
        shell.run("replay", "--yes")
        return shell.dead_letters.get_queue_properties().approximate_message_count or 0

    assert eventually(replay_rest, lambda count: not count) == 0
    found = shell.ingress.receive_messages(messages_per_page=32)
    enqueued = Counter(metrics([message.content for message in found]))
    assert enqueued.keys() == set(NAMES)
    # A second time: only what was enqueued and not deleted by one of the eight threads.
    assert enqueued.total() <= len(NAMES) + 8


def test_a_second_ctrl_c_ends_at_once(shell: Shell) -> None:
    shell.put(*dead_letter_texts(*map(points, NAMES)))

    def handle(request: Request, child: Child) -> Answer | None:
        if request.kind != "enqueue":
            return request.forward()
        if request.number == 1:
            child.signal(signal.SIGINT)
            child.wait_for("Stopping after the requests under way")
            child.signal(signal.SIGINT)
        child.wait(ENDED)  # Though these requests have no answer yet.
        return None

    code, printed = replay(shell, handle)
    assert code == 130, printed
    assert "Traceback" not in printed


def test_ctrl_c_at_the_question_ends_the_line(shell: Shell) -> None:
    shell.put(*dead_letter_texts(points("a")))
    environ = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
    command = [sys.executable, "-m", "tools", "dead-letter", "replay"]
    ours, terminal = os.openpty()
    with subprocess.Popen(
        command, env={**environ, **shell.env}, cwd=ROOT, stdin=terminal, stderr=terminal
    ) as asking:
        os.close(terminal)
        printed = b""
        while b"[y/N]" not in printed:
            printed += os.read(ours, 1000)
        while asking.poll() is None:  # A signal just before Python reads is noticed after it.
            asking.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                asking.wait(1)
        assert asking.returncode == 130
    printed += os.read(ours, 1000)
    os.close(ours)
    assert printed.endswith(b"\r\n")
    assert len(shell.left()) == 1
