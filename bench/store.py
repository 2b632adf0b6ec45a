"""A store that accepts everything after a fixed time, and the identity endpoint beside it.

For benches in which the emulator, which validates everything, would be what is measured. It is a
process of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
import requests

from local.processes import Child
from local.stack import ROOT

__all__ = ["Store", "Totals", "run_store"]

# What the app posts about itself is not measured.
OWN = "/sites/own/metrics"
# Seconds from request to answer: a POST to Azure Monitor within a region.
LATENCY = 0.1
TOKEN = {
    "access_token": "token",
    "resource": "https://monitoring.azure.com/",
    "token_type": "Bearer",
}


@dataclass(frozen=True)
class Totals:
    """What was posted since the last call."""

    posts: int
    bytes: int  # As sent.
    points: int  # The sum of all counts.


@dataclass(frozen=True)
class Store:
    """A running store."""

    url: str

    def totals(self) -> Totals:
        """Return what was posted since the last call."""
        answer = requests.get(f"{self.url}/totals", timeout=300)
        answer.raise_for_status()
        return Totals(**answer.json())


@contextmanager
def run_store() -> Iterator[Store]:
    """Run a store on a free port; it ends with the block."""
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


_DOCUMENTS = msgspec.json.Decoder(_Document)


@dataclass
class _Server:
    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection, one after another."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = head[0].split(" ")
                answer = json.dumps(await self._answer(method, path, body)).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(answer) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, method: str, path: str, body: bytes) -> dict[str, object]:
        if method == "POST":
            if not path.endswith(OWN):
                self.bodies.append(body)
            await asyncio.sleep(LATENCY)
            return {"statusCode": 200}
        if path == "/totals":
            bodies, self.bodies = self.bodies, []
            points = sum(map(_count_points, bodies))
            return {"posts": len(bodies), "bytes": sum(map(len, bodies)), "points": points}
        return {**TOKEN, "expires_on": str(int(time.time()) + 86_400)}


def _count_points(body: bytes) -> int:
    if not body.startswith(b"\x1f\x8b"):  # Not gzip: a message that is posted as it is.
        return 0
    documents = _DOCUMENTS.decode_lines(gzip.decompress(body))
    return sum(series.count for one in documents for series in one.data.base_data.series)


async def _serve() -> None:
    server = await asyncio.start_server(_Server().handle, "127.0.0.1", 0)
    print("http://{}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
