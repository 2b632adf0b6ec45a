"""Packing: every point in one message, none over the limit, and hardly more than there must be."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from azure.storage.queue import QueueClient, TextBase64EncodePolicy
from hypothesis import given
from hypothesis import strategies as st

from local.azurite import ACCOUNT_KEY
from shared.clients.storage import message_text
from shared.messages.body import MAX_BODY_BYTES
from shared.messages.writer import encode_point, queued_size
from shared.model import Rollup
from tests.unit.strategies import rollups
from tools.packer import Address, Message, Minimum, Packer, most_bytes

# What packing looks at of a point: where it goes, and its bytes.
Encoded = tuple[Address, bytes]
HERE = Address("westeurope", "/subscriptions/1", "Shop")
THERE = Address("", "", "")


def pack(encoded: list[Encoded], limit: int) -> list[Message]:
    packer = Packer(limit)
    messages = [packer.add(*one) for one in encoded]
    return [message for message in (*messages, packer.close()) if message is not None]


def encode(rollup: Rollup) -> list[Encoded]:
    target = rollup.target
    return [
        (
            Address(target.region, target.resource_id, series.namespace),
            encode_point(series, value, minute),
        )
        for minute, group in rollup.minutes.items()
        for series, values in group.items()
        for value in values
    ]


def contents(message: Message) -> list[tuple[Address, object]]:
    """Address and members of each point of a message, document by document."""
    body = json.loads(message.body)
    return [
        (
            Address(
                document.get("region", ""),
                document.get("resourceId", ""),
                document.get("namespace", ""),
            ),
            point,
        )
        for document in (body if isinstance(body, list) else [body])
        for point in document["points"]
    ]


def sizes(limit: int) -> st.SearchStrategy[list[Encoded]]:
    """Points of some addresses, none longer than a twentieth of the limit; numbered."""
    lengths = st.lists(
        st.tuples(st.sampled_from([HERE, THERE]), st.integers(10, limit // 20)), max_size=150
    )
    return lengths.map(
        lambda given: [
            (where, json.dumps(f"{number:04}".ljust(length - 2, "x")).encode())
            for number, (where, length) in enumerate(given)
        ]
    )


@given(st.lists(rollups(), max_size=9), st.sampled_from([48 * 1024, MAX_BODY_BYTES]))
def test_every_point_is_in_one_message_and_none_is_too_long(
    given: list[Rollup], limit: int
) -> None:
    encoded = [one for rollup in given for one in encode(rollup)]
    messages = pack(encoded, limit)
    assert all(queued_size(message.body) <= limit for message in messages)
    assert all(len(message_text(message.body).encode()) <= limit for message in messages)
    assert sum(message.points for message in messages) == len(encoded)
    found = sorted(repr(one) for message in messages for one in contents(message))
    assert found == sorted(repr((where, json.loads(raw))) for where, raw in encoded)


@given(sizes(2000))
def test_hardly_more_messages_than_there_must_be(encoded: list[Encoded]) -> None:
    messages = pack(encoded, 2000)
    least = Minimum(2000)
    for one in encoded:
        least.add(*one)
    # A message leaves less room than one more point, of 100 bytes, and its envelope take.
    envelope = 70
    assert least.messages() <= len(messages) <= least.messages() * 2000 / (1900 - 2 * envelope) + 1


@given(sizes(2000))
def test_messages_hold_the_points_in_their_order_and_are_full(encoded: list[Encoded]) -> None:
    messages = pack(encoded, 2000)
    left = iter(encoded)
    packed = [[next(left) for _ in range(message.points)] for message in messages]
    for message, members in zip(messages, packed, strict=True):
        assert sorted(repr(one) for one in contents(message)) == sorted(
            repr((where, json.loads(raw))) for where, raw in members
        )
    for members, following in pairwise(packed):
        (whole,) = pack([*members, following[0]], 10**9)
        assert queued_size(whole.body) > 2000


@pytest.mark.parametrize(
    "given",
    [
        [(HERE, b"{}")],
        [(HERE, b"{}"), (HERE, b'{"metric":"x"}')],
        [(HERE, b"{}"), (THERE, b"{}")],
        [(HERE, b"{}"), (THERE, b"{}"), (HERE, b'"\xef\xbf\xbf"')],
    ],
    ids=["one", "two of an address", "two addresses", "what the queue escapes"],
)
def test_a_message_is_filled_up_to_the_limit_and_no_further(given: list[Encoded]) -> None:
    (whole,) = pack(given, 10**9)
    size = queued_size(whole.body)
    assert len(pack(given, size)) == 1
    least = Minimum(size)
    for one in given:
        least.add(*one)
    assert least.messages() == 1
    if len(given) > 1:
        assert len(pack(given, size - 1)) == 2


def test_nothing_is_no_message() -> None:
    assert pack([], 100) == []
    assert Minimum(100).messages() == 0


def test_base64_takes_a_third_more() -> None:
    url = "http://127.0.0.1:1/devstoreaccount1"
    with QueueClient(url, "metrics", ACCOUNT_KEY) as text:
        assert most_bytes(text) == 65536
    policy = TextBase64EncodePolicy()
    with QueueClient(url, "metrics", ACCOUNT_KEY, message_encode_policy=policy) as base64:
        assert len(policy("x" * most_bytes(base64))) == 65536
        assert len(policy("x" * (most_bytes(base64) + 1))) > 65536
