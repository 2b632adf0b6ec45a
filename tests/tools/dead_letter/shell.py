"""The command line in this process, and dead letters for it."""

from __future__ import annotations

import base64
import json
import os
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.storage.queue import QueueClient
from click.testing import CliRunner, Result

from local.stack import OURS, Backend
from shared.clients.storage import message_text
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from tools.__main__ import main

__all__ = ["CUT", "Shell", "dead_letter_texts", "points"]


class Shell:
    """The command line on one ingress queue, with its dead-letter and poison queues."""

    def __init__(self, backend: Backend, queue: str) -> None:
        self.backend = backend
        self.queue = queue
        self.env = {**backend.app_settings(queue), "NO_COLOR": "1", "COLUMNS": "200"}
        self.connection_string = self.env["MetricsStorage"]
        self.ingress = self._client(queue)
        self.dead_letters = self._client(f"{queue}-dead-letter")
        self.poison = self._client(f"{queue}-poison")

    def _client(self, name: str) -> QueueClient:
        return self.backend.storage.get_queue_client(name)

    def run(
        self, *arguments: str, code: int = 0, answer: str = "", env: Mapping[str, str] | None = None
    ) -> Result:
        """Run the command and expect its exit code."""
        settings = {name: None for name in os.environ if name.startswith(OURS)}
        result = CliRunner().invoke(
            main,
            ["dead-letter", *arguments],
            env={**settings, **self.env, **(env or {})},
            input=answer,
        )
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def counts(self, *filters: str) -> dict[str, int]:
        """Return reason -> points."""
        counted = json.loads(self.run("list", "--json", *filters).stdout)
        return {one["reason"]: one["points"] for one in counted["reasons"]}

    def shown(self, *filters: str) -> list[dict[str, Any]]:
        """Return what `show --json` prints."""
        shown: list[dict[str, Any]] = json.loads(self.run("show", "--json", *filters).stdout)
        return shown

    def put(self, *texts: str) -> None:
        """Enqueue messages into the dead-letter queue."""
        for text in texts:
            self.dead_letters.send_message(text)

    def enqueued(self) -> list[str]:
        """Return the texts of the first 32 messages of the ingress queue."""
        return [message.content for message in self.ingress.peek_messages(32)]

    def left(self) -> list[str]:
        """Return the texts of the first 32 dead letters that are visible."""
        return [message.content for message in self.dead_letters.peek_messages(32)]


def points(*metrics: str, **members: Any) -> str:
    """Return a message with a point for each metric."""
    resource = "/subscriptions/5b1fd1f4-2a3c-4f0e-9d53-0f8b6d3f5a10/resourceGroups/shop/providers"
    return json.dumps(
        {
            "resourceId": f"{resource}/Microsoft.Web/sites/shop",
            "region": "westeurope",
            "points": [{"metric": metric, "value": 1, **members} for metric in metrics],
        },
        ensure_ascii=False,
    )


# Too long for a dead letter, even compressed.
CUT = base64.b64encode(random.Random(0).randbytes(48_000)).decode()


def dead_letter_texts(
    *contents: str,
    reason: Reason = Reason.INVALID,
    detail: str = "why",
    age: timedelta = timedelta(),
) -> list[str]:
    """Return a dead letter for each content, of a message enqueued and rejected `age` ago."""
    now = datetime.now(UTC) - age
    return [
        message_text(text)
        for number, content in enumerate(contents)
        for text in write_dead_letters(
            [Rejection(reason, detail, content.encode())],
            Origin(f"message-{number}", now),
            now,
        )
    ]
