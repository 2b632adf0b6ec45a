"""A store that answers from a script, and a time that only sleeping moves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from shared.errors import TokenError
from shared.model import Aggregates, Series, Target, ValueSet
from shared.publisher.encoder import Body, encode_bodies
from shared.publisher.responses import Response, ResponseAction, classify
from shared.publisher.sender import Timing
from tests.unit.rollups import NOW

__all__ = ["Contents", "ManualTime", "ScriptedStore"]

Contents = dict[tuple[datetime, Series], ValueSet]
"""Value sets by minute and series."""

Script = Callable[[Target, Contents], Response]


class ScriptedStore:
    """Answers from a list, the last answer again and again, or by a function of each body."""

    def __init__(
        self, *answers: Response | Exception, script: Script | None = None, max_bytes: int = 65_536
    ) -> None:
        self.posts: list[tuple[str, Contents]] = []  # Region and contents.
        self.accepted: list[Contents] = []
        self.tokens: list[str] = []  # Of each POST.
        self.token_error: TokenError | None = None
        self.threads: set[str] = set()
        self._answers = answers
        self._script = script
        self._max_bytes = max_bytes

    @property
    def regions(self) -> list[str]:
        """The region of each POST."""
        return [region for region, _ in self.posts]

    @property
    def metrics(self) -> list[str]:
        """The metrics of each POST, as one word."""
        return ["".join(series.metric for _, series in contents) for _, contents in self.posts]

    def encode(self, aggregates: Aggregates) -> Iterator[Body]:
        return encode_bodies(aggregates, self._max_bytes)

    def classify(self, response: Response) -> ResponseAction:
        return classify(response)

    def token(self) -> str:
        if self.token_error is not None:
            raise self.token_error
        return f"token {len(self.posts)}"

    def post(self, target: Target, data: bytes, token: str) -> Response:
        contents = _decode(data)
        self.tokens.append(token)
        self.posts.append((target.region, contents))
        self.threads.add(threading.current_thread().name)
        if self._script is not None:
            answer: Response | Exception = self._script(target, contents)
        else:
            answer = self._answers[min(len(self.posts), len(self._answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if answer.status is not None and 200 <= answer.status < 300:
            self.accepted.append(contents)
        return answer


class ManualTime:
    """Clocks that start at NOW; records the sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def timing(self) -> Timing:
        """Return these clocks, without jitter."""
        return Timing(self.now, lambda: self.seconds, self.sleep, lambda: 0.0)


def _decode(data: bytes) -> Contents:
    contents: Contents = {}
    for line in data.splitlines():
        document = json.loads(line)
        minute, base = datetime.fromisoformat(document["time"]), document["data"]["baseData"]
        for one in base["series"]:
            names, values = tuple(base["dimNames"]), tuple(one.pop("dimValues"))
            key = minute, Series(base["namespace"], base["metric"], names, values)
            assert key not in contents
            contents[key] = ValueSet(**one)
    return contents
