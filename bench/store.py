"""A store that accepts whatever it is sent, after as long as it is told to: a process of its own.

It is the metrics store and the identity endpoint of benches in which the emulator, which looks at
everything, would be what is measured. What it was sent is counted when it is asked for.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec
import requests

from local.processes import Child
from local.stack import ROOT

__all__ = ["Store", "Totals", "run_store"]

# What the app posts to its own resource is not what is measured.
OWN = "/sites/own/metrics"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_GZIP = re.compile(rb"\r\ncontent-encoding: *gzip", re.IGNORECASE)


@dataclass(frozen=True)
class Totals:
    """What was posted since the last time that was asked."""

    posts: int
    bytes: int  # As sent.
    points: int  # The sum of all counts; of bodies in gzip alone.


@dataclass(frozen=True)
class Store:
    """The store, and how it is told what to do."""

    url: str

    def delay(self, seconds: float) -> None:
        """Answer posts so long after they came; with `inf`, when it is told another time."""
        requests.put(f"{self.url}/_delay/{seconds}", timeout=30).raise_for_status()

    def totals(self) -> Totals:
        """What was posted since the last time; it is then forgotten."""
        answer = requests.get(f"{self.url}/_totals", timeout=300)
        answer.raise_for_status()
        return Totals(**answer.json())


@contextmanager
def run_store() -> Iterator[Store]:
    """Start it on a free port; it ends with the block."""
    with Child("store", (sys.executable, "-m", "bench.store"), cwd=ROOT) as child:
        yield Store(child.wait_for(r"http://\S+")[0])


class _Series(msgspec.Struct):
    count: int


class _BaseData(msgspec.Struct, rename="camel"):
    series: list[_Series]


class _Data(msgspec.Struct, rename="camel"):
    base_data: _BaseData


class _Document(msgspec.Struct):
    data: _Data


_DOCUMENT = msgspec.json.Decoder(_Document)


class _State:
    def __init__(self) -> None:
        self.delay = 0.0
        self.held: list[Callable[[], None]] = []
        self.posts = 0
        self.bytes = 0
        self.bodies: list[bytes] = []

    def wait(self, answer: Callable[[], None]) -> None:
        """Answer when the delay has passed."""
        if self.delay == math.inf:
            self.held.append(answer)
        else:
            asyncio.get_running_loop().call_later(self.delay, answer)

    def set_delay(self, seconds: float) -> None:
        """From now on; what was held is answered."""
        self.delay = seconds
        held, self.held = self.held, []
        for answer in held:
            self.wait(answer)

    def totals(self) -> dict[str, int]:
        points = sum(
            series.count
            for body in self.bodies
            for line in gzip.decompress(body).splitlines()
            for series in _DOCUMENT.decode(line).data.base_data.series
        )
        totals = {"posts": self.posts, "bytes": self.bytes, "points": points}
        self.posts, self.bytes, self.bodies = 0, 0, []
        return totals


class _Connection(asyncio.Protocol):
    """As much of HTTP/1.1 as `requests` needs, one request after the other."""

    def __init__(self, state: _State) -> None:
        self._state = state
        self._data = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (TCP has no other)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end])
        length = _LENGTH.search(head)
        whole = end + 4 + (int(length[1]) if length else 0)
        if len(self._data) < whole:
            return
        body = bytes(self._data[end + 4 : whole])
        del self._data[:whole]
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        state = self._state
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        if method == "POST":
            if not target.endswith(OWN):
                state.posts += 1
                state.bytes += len(body)
                if _GZIP.search(head):
                    state.bodies.append(body)
            state.wait(partial(self._write, b'{"statusCode":200}'))
        elif target == "/_totals":
            self._write(json.dumps(state.totals()).encode())
        elif target.startswith("/_delay/"):
            state.set_delay(float(target.removeprefix("/_delay/")))
            self._write(b"{}")
        else:
            token = {"access_token": "token", "expires_on": str(int(time.time()) + 86_400)}
            also = {"resource": "https://monitoring.azure.com/", "token_type": "Bearer"}
            self._write(json.dumps({**token, **also}).encode())

    def _write(self, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n"
            self._transport.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)


async def _serve() -> None:
    state = _State()
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(state), "127.0.0.1", 0
    )
    print("http://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
