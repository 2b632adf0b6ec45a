"""`python -m tools dead-letter` in this process, and letters for it to work on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.queue import QueueClient
from click.testing import CliRunner, Result

from local.stack import OURS, ROOT, Backend
from shared.clients.storage import message_text
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from tools.__main__ import main

__all__ = ["Shell", "letters", "points"]


class Shell:
    """The command line, in this process, on one ingress queue."""

    def __init__(self, backend: Backend, queue: str) -> None:
        self._env = {**backend.app_settings(queue), "NO_COLOR": "1", "COLUMNS": "200"}
        self.connection = self._env["MetricsStorage"]
        self.letters: QueueClient = backend.storage.get_queue_client(f"{queue}-dead-letter")
        self.ingress: QueueClient = backend.storage.get_queue_client(queue)

    def run(
        self,
        *arguments: str,
        code: int | None = 0,
        answer: str = "",
        settings: Mapping[str, str] | None = None,
    ) -> Result:
        result = CliRunner().invoke(
            main, ["dead-letter", *arguments], env={**self._env, **(settings or {})}, input=answer
        )
        assert code is None or result.exit_code == code, result.output
        return result

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """The command as a process of its own, whose output is to be read."""
        shell = {name: text for name, text in os.environ.items() if not name.startswith(OURS)}
        env = {**shell, **self._env, **settings}
        command = [sys.executable, "-m", "tools", "dead-letter", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=env, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)

    def counts(self, *filters: str) -> dict[str, int]:
        """Reason -> points."""
        whole = json.loads(self.run("list", "--json", *filters).stdout)
        return {one["reason"]: one["points"] for one in whole["reasons"]}

    def shown(self, *filters: str) -> list[dict[str, Any]]:
        text = self.run("show", *filters).stdout
        decoder, found, start = json.JSONDecoder(), [], 0
        while text[start:].strip():
            one, start = decoder.raw_decode(text, start)
            start += 1
            found.append(one)
        return found

    def put(self, *texts: str) -> None:
        for text in texts:
            self.letters.send_message(text)

    def visible(self) -> int:
        """Letters that anybody could take now, of the first 32."""
        return len(self.letters.peek_messages(32))

    def waiting(self) -> int:
        return self.ingress.get_queue_properties().approximate_message_count or 0


def points(site: str, *names: str, **members: Any) -> str:
    return json.dumps(
        {
            "resourceId": site,
            "region": "westeurope",
            "points": [{"metric": name, "value": 1, **members} for name in names],
        }
    )


def letters(
    *contents: str,
    reason: Reason = Reason.INVALID,
    detail: str = "why",
    age: timedelta = timedelta(),
) -> list[str]:
    """Letters of things refused `age` ago, one letter each."""
    now = datetime.now(UTC) - age
    return [
        message_text(text)
        for number, content in enumerate(contents)
        for text in write_dead_letters(
            [Rejection(reason, detail, content.encode())], Origin(f"message-{number}", now), now
        )
    ]
