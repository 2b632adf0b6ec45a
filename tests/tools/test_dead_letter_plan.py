"""What of a letter is put back, with which time, and what stays: judged as the app would."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.messages.body import MAX_BODY_BYTES
from shared.messages.parser import MessageParser, Parsed
from shared.messages.validation import Defaults
from shared.messages.writer import MAX_MESSAGE_BYTES, queued_size
from shared.model import Origin, Reason, Rejection
from shared.pipeline.dead_letters import write_dead_letters
from tests.unit.builders import DEFAULTS, SERIES, TARGET_MEMBERS, WINDOW, at, document, message
from tests.unit.rollups import NOW, RESOURCE, values_in
from tests.unit.strategies import bodies
from tools.dead_letter.finding import Held, find
from tools.dead_letter.judging import Plan, Rules
from tools.dead_letter.replaying import bodies_of
from tools.pieces import Bundle

PARSER = MessageParser(DEFAULTS, WINDOW)
RULES = Rules(PARSER)
LATER = NOW + timedelta(minutes=5)


def plan(
    *contents: Any, rules: Rules = RULES, restamp: bool = False, enqueued: Any = NOW, now: Any = NOW
) -> Plan:
    """What a replay at `now` does with a letter of these contents: bytes, or JSON."""
    raws = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in contents]
    rejections = [Rejection(Reason.INVALID, f"why {raw[:9]!r}", raw) for raw in raws]
    (letter,) = write_dead_letters(rejections, Origin("5c1f", enqueued), NOW)
    (found,) = find([Held("1", NOW, 1, letter.decode())])
    return Plan.of(found, found.letter.entries, rules, now, restamp=restamp)


def back(*plans: Plan) -> list[Any]:
    """The messages that go back, read as JSON."""
    return [json.loads(body) for body in bodies_of(plans)]


def parsed(body: bytes, enqueued: Any = NOW) -> Parsed:
    return PARSER.parse(body, enqueued=enqueued, now=NOW)


def points_of(body: bytes, enqueued: Any = NOW) -> list[Any]:
    """Minute, metric and value of each point."""
    return values_in(parsed(body, enqueued).rollups)


@given(bodies)
def test_what_is_good_goes_back_once_and_the_rest_stays(body: bytes) -> None:
    made = plan(body)
    good = points_of(body)
    messages = list(bodies_of([made]))
    returned = [point for one in messages for point in points_of(one, enqueued=LATER)]
    if not made.pieces:
        assert returned == []
        assert made.left == list(made.found.letter.entries)
        assert made.stay.total() >= 1
        return
    assert sorted(map(repr, returned)) == sorted(map(repr, good))
    assert len(made.pieces) == len(good)
    for entry in made.left:
        assert points_of(entry.content) == []
    assert made.stay.total() >= sum(rejection.points for rejection in parsed(body).rejections)


@given(st.lists(bodies, max_size=8))
def test_messages_are_packed_and_small_enough(given_: list[bytes]) -> None:
    plans = [plan(body) for body in given_]
    messages = list(bodies_of(plans))
    assert all(queued_size(one) <= MAX_MESSAGE_BYTES for one in messages)
    assert len(messages) <= 1
    assert sum(len(points_of(one)) for one in messages) == sum(len(one.pieces) for one in plans)


def test_a_point_keeps_its_time_and_gets_the_one_of_its_message_if_it_has_none() -> None:
    one = {"metric": "a", "value": 1.0}
    made = plan(message(one, {**one, "time": at(-60)}), enqueued=NOW - timedelta(minutes=2))
    (body,) = back(made)
    assert [point["time"] for point in body["points"]] == [at(-120), at(-60)]
    (body,) = back(plan(document(SERIES, time=None)))
    assert body["time"] == at()


def test_what_a_message_leaves_open_is_left_to_the_settings_of_the_app() -> None:
    rules = Rules(MessageParser(Defaults("Mine", RESOURCE), WINDOW))
    (body,) = back(plan({"points": [{"metric": "a", "value": 1}]}, rules=rules))
    assert body.keys() == {"points"}


def test_points_of_many_letters_share_what_stands_around_them() -> None:
    plans = [plan(message({"metric": f"m{number}", "value": 1.0})) for number in range(100)]
    (body,) = back(*plans)
    assert body.keys() == {"resourceId", "region", "points"}
    assert len(body["points"]) == 100
    other = plan(message({"metric": "m", "value": 1}, region="eastus"))
    (body,) = back(*plans, other)
    assert [len(one["points"]) for one in body] == [100, 1]


def test_a_message_is_filled_before_the_next_one_begins() -> None:
    plans = [plan(message({"metric": f"m{number}", "value": 1.0})) for number in range(2000)]
    messages = list(bodies_of(plans))
    total = sum(map(len, messages))
    assert len(messages) == -(-total // MAX_MESSAGE_BYTES)
    assert min(map(len, messages[:-1])) > MAX_MESSAGE_BYTES - 200


STAYS = {
    "invalid": (
        message({"metric": "a", "value": "x"}),
        "points[…].value: Expected `float | null`, got `str`",
    ),
    "no JSON": (b"oops", "is neither JSON"),
    "expired": (message({"metric": "a", "value": 1, "time": at(-1201)}), "is … s old"),
    "no resource": ({"points": [{"metric": "a", "value": 1}]}, "METRICS_RESOURCE_ID is not set"),
    "outside": (
        message({"metric": "a", "value": 1}, resourceId=f"{RESOURCE}x"),
        "is outside METRICS_ALLOWED_SCOPES",
    ),
    "no bytes": (b"\xff", "not UTF-8"),
    "too long with its time": (
        json.dumps(
            {**TARGET_MEMBERS, "points": [{"metric": "a", "values": [1] * 21_700}]}
        ).encode(),
        "too long for a message",
    ),
}


@pytest.mark.parametrize(("content", "why"), STAYS.values(), ids=STAYS)
def test_what_would_be_refused_again_stays_with_the_reason(content: Any, why: str) -> None:
    made = plan(content, rules=Rules(PARSER, (f"{RESOURCE.lower()}/",)))
    assert made.pieces == []
    assert made.left == list(made.found.letter.entries)
    assert [why in text for text in made.stay] == [True]


def test_of_an_entry_only_what_is_still_bad_stays() -> None:
    good, bad = {"metric": "a", "value": 1.0}, {"metric": "", "value": 2.0}
    made = plan(message(good, bad, good), b"oops")
    assert [len(body["points"]) for body in back(made)] == [2]
    settled = json.loads(made.settled())
    assert [one.get("message", {}).get("points") for one in settled["refused"]] == [[bad], None]
    assert settled["refused"][1]["body"] == "oops"
    assert settled["detail"].endswith("(and 1 more)")
    assert "replaying" not in settled


def test_what_was_marked_is_what_goes_back() -> None:
    good = message({"metric": "a", "value": 1})
    text = plan(b"oops", good).marked(NOW)
    assert json.loads(text)["replaying"] == {"time": at(), "first": 1}
    assert json.loads(text)["refused"][0]["message"] == good


def test_base64_goes_back_once_it_is_valid() -> None:
    (body,) = back(
        plan(base64.b64encode(json.dumps(message({"metric": "a", "value": 1})).encode()))
    )
    assert body["points"][0]["metric"] == "a"


def test_expired_points_get_the_time_of_now_where_that_is_wanted() -> None:
    old = {"metric": "a", "value": 1.0, "time": at(-1300)}
    recent = {**old, "time": at(-60)}
    made = plan(message(old, recent), restamp=True)
    assert made.restamped == 1
    (body,) = back(made)
    assert [point["time"] for point in body["points"]] == [at(), at(-60)]
    bad = {**old, "metric": ""}
    assert plan(message(bad), restamp=True).restamped == 0


def test_what_was_compressed_goes_back_and_what_stays_is_compressed() -> None:
    good = [{"metric": "a" * 200, "value": number} for number in range(280)]
    bad = [{"metric": "", "value": number} for number in range(2)]
    whole = message(*good, *bad)
    assert len(json.dumps(whole)) > 61_000
    made = plan(whole)
    assert len(made.pieces) == 280
    (entry,) = made.left
    assert json.loads(entry.content)["points"] == bad
    assert "bodyGzipBase64" in json.loads(made.settled())["refused"][0]


def test_what_was_cut_stays() -> None:
    noise = base64.b64encode(Random(1).randbytes(48_000)).decode()
    made = plan(message({"metric": noise, "value": 1}))
    assert made.pieces == []
    assert made.left == list(made.found.letter.entries)
    ((why, points),) = made.stay.items()
    assert why.startswith("cannot be replayed: it was too long for a dead letter")
    assert points == 1


def test_a_letter_without_room_for_a_mark_is_left_alone() -> None:
    one = message({"metric": "a", "value": 1})
    text: dict[str, Any] = {"reason": "invalid", "detail": "x", "deadLetteredTime": at()}
    text |= {"note": "x" * 65_150, "refused": [{"detail": "x", "message": one}]}
    assert 65_450 < len(json.dumps(text)) <= MAX_BODY_BYTES
    (found,) = find([Held("1", NOW, 1, json.dumps(text))])
    made = Plan.of(found, found.letter.entries, RULES, NOW, restamp=False)
    assert made.pieces == []
    assert list(made.stay) == ["the letter has no room for the mark of a replay"]


def test_a_bundle_knows_its_size() -> None:
    bundle = Bundle()
    for piece in plan(message({"metric": "\uffff" * 9, "value": 1})).pieces * 3:
        bundle.add(piece)
    assert queued_size(bundle.write()) <= bundle.size
