"""One delivery: every minute and series gets one outcome, and nothing accepted is sent again."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.errors import TokenError
from shared.model import Aggregates, Outcome, Outcomes, Reason, Series, Status, Target, ValueSet
from shared.publisher.circuit_breaker import MAX_POSTS_PER_REGION
from shared.publisher.responses import Response
from shared.publisher.sender import Sender, TargetStates
from tests.unit.rollups import (
    MINUTE,
    NOW,
    OTHER,
    REGION,
    RESOURCE,
    TARGET,
    rollup_of,
    series,
    value_of,
)
from tests.unit.scripted_store import Contents, ManualTime, ScriptedStore

PAST = timedelta(minutes=20)
LATE = Response(400, "BadRequest", "'time' should not be older than 30 minutes")
BAD = Response(400, "BadRequest", "no")
OK = Response(200)
ONE_LINE = 200  # Bytes of a body with one series.

Recorded = tuple[str, float, dict[str, str]]


@dataclass
class Delivery:
    """A sender, its store, its time, and the regions that a look-up finds."""

    store: ScriptedStore
    executor: ThreadPoolExecutor
    time: ManualTime = field(default_factory=ManualTime)
    corrected: list[Target | Exception | None] = field(default_factory=list)
    asked: list[tuple[Target, str | None]] = field(default_factory=list)
    recorded: list[Recorded] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sender = Sender(
            self.store,
            executor=self.executor,
            past=PAST,
            correct_region=self._correct,
            states=TargetStates(self.time.timing().clock),
            timing=self.time.timing(),
            record=lambda metric, value, **named: self.recorded.append((metric, value, named)),
        )

    async def _correct(self, target: Target, region: str | None) -> Target | None:
        self.asked.append((target, region))
        found = self.corrected.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    async def send(self, metrics: str = "a", target: Target = TARGET) -> dict[str, Outcome]:
        """Send one value of each metric; return the outcomes by metric."""
        aggregates = rollup_of(target, **dict.fromkeys(metrics, 1.0)).aggregate()
        outcomes = await self.sender.send(target, aggregates)
        return {one.metric: outcome for (_, one), outcome in outcomes.items()}


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, thread_name_prefix="post") as threads:
        yield threads


@pytest.fixture
def deliver(executor: ThreadPoolExecutor) -> Any:
    """Make a delivery to a scripted store."""
    return lambda *answers, **options: Delivery(ScriptedStore(*answers, **options), executor)


def deferred(detail: str) -> Outcome:
    return Outcome(Status.DEFERRED, detail)


def rejected(detail: str, reason: Reason = Reason.REJECTED_BY_AZURE) -> Outcome:
    return Outcome(Status.REJECTED, detail, reason)


async def test_value_sets_are_published(deliver: Any) -> None:
    delivery = deliver(Response(204))
    aggregates = rollup_of(a=[3.0, 20.0, 5.0]).aggregate()
    assert await delivery.sender.send(TARGET, aggregates) == {}
    assert delivery.store.accepted == [{(MINUTE, series("a")): ValueSet(3.0, 20.0, 28.0, 3)}]
    assert delivery.store.regions == [REGION]
    assert all(name.startswith("post") for name in delivery.store.threads)


# --- Rejected as a whole --------------------------------------------------------------------------

REJECTIONS = {
    "400": (BAD, rejected("400 BadRequest no")),
    "413": (Response(413), rejected("413", Reason.TOO_LARGE)),
}


def reject(answer: Response, *metrics: str) -> Any:
    """Script: reject a body with any of these metrics."""

    def script(_: Target, contents: Contents) -> Response:
        return answer if {one.metric for _, one in contents} & set(metrics) else OK

    return script


@pytest.mark.parametrize(("answer", "outcome"), REJECTIONS.values(), ids=REJECTIONS)
async def test_a_body_is_halved_until_the_culprit_stands_alone(
    deliver: Any, answer: Response, outcome: Outcome
) -> None:
    delivery = deliver(script=reject(answer, "c"))
    assert await delivery.send("abcde") == {"c": outcome}
    assert delivery.store.metrics == ["abcde", "cde", "de", "c", "ab"]


@pytest.mark.parametrize("dimension", [False, True], ids=["metrics", "series of one metric"])
@pytest.mark.parametrize("culprits", [1, 3, 10])
async def test_culprits_take_few_posts(deliver: Any, culprits: int, dimension: bool) -> None:
    size = 500
    every = [series("m", Shard=str(n)) if dimension else series(f"m{n}") for n in range(size)]
    bad = {every[number * 137 % size] for number in range(1, culprits + 1)}

    def script(_: Target, contents: Contents) -> Response:
        return BAD if any(one in bad for _, one in contents) else OK

    delivery = deliver(script=script)
    values = dict.fromkeys(every, value_of(1.0))
    outcomes = await delivery.sender.send(TARGET, {MINUTE: values})
    assert {one for _, one in outcomes} == bad
    assert len(delivery.store.posts) <= culprits * (2 * math.ceil(math.log2(size)) + 2)


async def test_each_body_has_an_outcome_of_its_own(deliver: Any) -> None:
    delivery = deliver(script=reject(BAD, "b"), max_bytes=ONE_LINE)
    assert await delivery.send("abc") == {"b": rejected("400 BadRequest no")}
    assert sorted(delivery.store.metrics) == ["a", "b", "c"]


async def test_splitting_ends_at_the_deadline(deliver: Any) -> None:
    delivery = deliver(script=lambda *_: slow())

    def slow() -> Response:
        delivery.time.seconds += 1.0
        return BAD

    metrics = "".join(map(chr, range(ord("A"), ord("A") + 64)))
    outcomes = Counter((await delivery.send(metrics)).values())
    assert len(delivery.store.posts) == 21
    assert outcomes.keys() == {rejected("400 BadRequest no"), deferred("not reached in time")}
    assert outcomes.total() == 64
    await delivery.send()
    assert len(delivery.store.posts) == 22  # Without a cooldown.


# --- 400 for time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("past", "expired"), [(19, ""), (20, ""), (21, "b")])
async def test_minutes_that_expired_are_rejected_and_the_others_sent_again(
    deliver: Any, past: int, expired: str
) -> None:
    # At NOW, 30 s of a minute have passed: of the one 20 minutes ago, half is in the window.
    old = MINUTE - timedelta(minutes=past)
    delivery = deliver(LATE, OK)
    aggregates = rollup_of(a=1.0).aggregate() | rollup_of(TARGET, old, b=2.0).aggregate()
    outcomes = await delivery.sender.send(TARGET, aggregates)
    if expired:
        assert outcomes == {(old, series("b")): rejected(str(LATE), Reason.EXPIRED)}
        assert delivery.store.metrics == ["ab", "a"]
    else:
        assert outcomes == {}
        assert delivery.store.metrics == ["ab", "a", "b"]


@pytest.mark.parametrize("at_fault", range(4))
async def test_a_minute_that_only_the_store_rejects_is_deferred_whole(
    deliver: Any, at_fault: int
) -> None:
    minutes = [MINUTE + timedelta(minutes=number) for number in range(4)]
    ahead = minutes[at_fault]

    def script(_: Target, contents: Contents) -> Response:
        return LATE if any(minute == ahead for minute, _ in contents) else OK

    delivery = deliver(script=script, max_bytes=1_000_000)
    group = {series(f"m{number}"): value_of(1.0) for number in range(500)}
    outcomes = await delivery.sender.send(TARGET, dict.fromkeys(minutes, group))
    assert outcomes == {(ahead, one): deferred(str(LATE)) for one in group}
    assert len(delivery.store.posts) == 5
    await delivery.send()
    assert len(delivery.store.posts) == 6  # Without a cooldown.


async def test_a_minute_that_expires_while_others_are_dropped_is_not_lost(deliver: Any) -> None:
    delivery = deliver(LATE, OK)
    old = [MINUTE - PAST, MINUTE - PAST - timedelta(minutes=1)]
    times = iter([MINUTE])  # The next look at the clock is half a minute later.
    timing = delivery.time.timing()
    delivery.sender.timing = replace(timing, now=lambda: next(times, NOW))
    aggregates = {minute: {series("a"): value_of(1.0)} for minute in old}
    check(delivery.store, aggregates, await delivery.sender.send(TARGET, aggregates))


# --- RegionMismatch -------------------------------------------------------------------------------

NORTH = Target("northeurope", RESOURCE)
EAST = Target("eastus", RESOURCE)


def mismatch(region: str | None) -> Response:
    return Response(400, "RegionMismatch", f"the resource's region : {region}." if region else "no")


@pytest.mark.parametrize("named", ["northeurope", None], ids=["named", "looked up"])
async def test_a_delivery_goes_on_in_the_right_region(deliver: Any, named: str | None) -> None:
    delivery = deliver(mismatch(named), OK, max_bytes=ONE_LINE)
    delivery.corrected = [NORTH]
    assert await delivery.send("abc") == {}
    assert delivery.store.regions == [REGION] + ["northeurope"] * 3
    assert delivery.asked == [(TARGET, named)]


async def test_a_region_that_is_wrong_twice_defers(deliver: Any) -> None:
    delivery = deliver(mismatch("northeurope"), mismatch("eastus"))
    delivery.corrected = [NORTH, EAST]
    assert await delivery.send() == {"a": deferred(str(mismatch("eastus")))}
    assert delivery.store.regions == [REGION, "northeurope"]
    assert delivery.asked == [(TARGET, "northeurope")]
    assert await delivery.send(target=NORTH) != {}
    assert len(delivery.store.posts) == 2  # The last region has a cooldown.


@pytest.mark.parametrize("found", [None, KeyError("broken")], ids=["unknown", "unexpected error"])
async def test_a_region_that_cannot_be_corrected_defers(
    deliver: Any, found: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = deliver(mismatch(None))
    delivery.corrected = [found]
    assert await delivery.send("ab") == dict.fromkeys("ab", deferred(str(mismatch(None))))
    assert len(delivery.store.posts) == 1
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    expected = [f"Unexpected error while looking up the region of {RESOURCE}"]
    assert errors == (expected if found else [])


# --- 401, 403 and what may pass -------------------------------------------------------------------


async def test_a_token_is_renewed_once(deliver: Any) -> None:
    delivery = deliver(Response(401), OK)
    assert await delivery.send() == {}
    assert (delivery.store.tokens, delivery.time.slept) == (["token 0", "token 1"], [])
    delivery = deliver(Response(401))
    assert await delivery.send() == {"a": deferred("401")}
    assert len(delivery.store.posts) == 2


async def test_without_a_token_nothing_is_sent(deliver: Any) -> None:
    delivery = deliver(OK)
    delivery.store.token_error = TokenError("no identity")
    outcome = deferred("no answer TokenError no identity")
    assert await delivery.send() == {"a": outcome}
    assert (delivery.store.posts, delivery.time.slept) == ([], [])
    assert delivery.recorded[0] == ("Posts", 1, {"Status": "TokenError"})
    delivery.store.token_error = None
    assert await delivery.send() == {"a": outcome}  # The cooldown.


async def test_a_missing_role_is_named_with_its_scope(deliver: Any) -> None:
    delivery = deliver(Response(403, "AuthenticationFailed", "no"))
    hint = f"grant Monitoring Metrics Publisher on {RESOURCE}"
    assert await delivery.send() == {"a": deferred(f"403 AuthenticationFailed no; {hint}")}


RETRIED = [408, 429, 500, 502, 503, 504, None]


@pytest.mark.parametrize("status", RETRIED)
async def test_what_may_pass_is_retried(deliver: Any, status: int | None) -> None:
    delivery = deliver(*[Response(status, "ReadTimeout")] * 2, OK)
    assert await delivery.send() == {}
    assert delivery.time.slept == [0.25, 0.5]


async def test_retries_end_at_the_deadline(deliver: Any) -> None:
    delivery = deliver(Response(503))
    assert await delivery.send("ab") == dict.fromkeys("ab", deferred("503"))
    assert delivery.time.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("asked", "slept"), [(7.0, [7.0]), (20.0, [20.0]), (20.1, [])], ids=["soon", "N", "N + 1"]
)
async def test_a_retry_after_is_waited_for_until_the_deadline(
    deliver: Any, asked: float, slept: list[float]
) -> None:
    delivery = deliver(Response(429, retry_after=asked), OK)
    assert await delivery.send() == ({} if slept else {"a": deferred("429")})
    assert delivery.time.slept == slept


async def test_what_follows_a_deferred_body_is_not_tried(deliver: Any) -> None:
    delivery = deliver(OK, Response(404), OK, max_bytes=ONE_LINE)
    assert await delivery.send("abc") == dict.fromkeys("ab", deferred("404"))
    assert delivery.store.metrics == ["c", "b"]


COOLDOWNS = {
    "403": (Response(403), 15.0),
    "404": (Response(404), 15.0),
    "401 twice": (Response(401), 15.0),
    "no token": (Response(None, "TokenError", "x"), 15.0),
    "another region, unknown": (mismatch(None), 15.0),
    "retried in vain": (Response(503), 5.0),
    "a long Retry-After": (Response(429, retry_after=60.0), 60.0),
    "a longer Retry-After": (Response(429, retry_after=86_400.0), 300.0),
}


@pytest.mark.parametrize(("answer", "seconds"), COOLDOWNS.values(), ids=COOLDOWNS)
async def test_a_deferred_target_is_not_tried_in_its_cooldown(
    deliver: Any, answer: Response, seconds: float
) -> None:
    delivery = deliver(answer)
    delivery.corrected = [None]
    outcome = (await delivery.send())["a"]
    delivery.store._answers = (OK,)
    posts = len(delivery.store.posts)
    delivery.time.seconds += seconds - 0.1
    upper = Target(REGION, RESOURCE.upper())
    assert await delivery.send("ab", upper) == dict.fromkeys("ab", outcome)
    assert len(delivery.store.posts) == posts
    assert await delivery.send(target=OTHER) == {}
    delivery.time.seconds += 0.1
    assert await delivery.send() == {}


async def test_an_unexpected_error_defers_what_is_not_published(
    deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = deliver(OK, OSError("broken"), max_bytes=ONE_LINE)
    assert await delivery.send("abc") == dict.fromkeys("ab", deferred("no answer OSError broken"))
    assert delivery.store.metrics == ["c", "b"]
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert record.message == f"Unexpected error while posting to {REGION} {RESOURCE}"
    assert record.exc_info


async def test_a_region_that_hangs_leaves_threads_to_the_others() -> None:
    release = threading.Event()
    hanging = Counter[str]()

    def script(target: Target, _: Contents) -> Response:
        if target.region == REGION:
            hanging[target.region] += 1
            release.wait(60)
        return OK

    with ThreadPoolExecutor(MAX_POSTS_PER_REGION + 1) as threads:
        delivery = Delivery(ScriptedStore(script=script), threads)
        targets = [Target(REGION, f"{RESOURCE}{number}") for number in range(40)]
        tasks = [asyncio.create_task(delivery.send(target=target)) for target in targets]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(delivery.send(target=NORTH), 60) == {}
        assert hanging[REGION] <= MAX_POSTS_PER_REGION
        release.set()
        assert await asyncio.gather(*tasks) == [{}] * 40


async def test_posts_that_wait_for_a_token_hold_no_slot_of_their_region(deliver: Any) -> None:
    delivery = deliver(OK)
    targets = [Target(REGION, f"{RESOURCE}{number}") for number in range(2 * MAX_POSTS_PER_REGION)]
    all_wait = threading.Barrier(len(targets), timeout=60)
    delivery.store.token = lambda: str(all_wait.wait())
    with ThreadPoolExecutor(len(targets)) as delivery.sender.executor:
        sent = [delivery.send(target=target) for target in targets]
        assert await asyncio.gather(*sent) == [{}] * len(targets)


# --- What it logs and records ---------------------------------------------------------------------


async def test_every_post_is_recorded(deliver: Any) -> None:
    answers = (
        Response(503, seconds=2.0),
        Response(None, "ReadTimeout", seconds=30.0),
        Response(200, seconds=0.5),
    )
    delivery = deliver(*answers)
    await delivery.sender.send(TARGET, rollup_of(a=[1.0, 2.0], b=3.0).aggregate())
    assert delivery.recorded == [
        recorded
        for status, seconds in (("503", 2.0), ("ReadTimeout", 30.0), ("200", 0.5))
        for recorded in (
            ("Posts", 1, {"Status": status}),
            ("PostDuration", seconds, {"Status": status}),
            ("BatchSize", 3, {}),
        )
    ]


LINES = {
    "published": (Response(200, seconds=12.5), "INFO", ""),
    "not published": (Response(410, "", "oops"), "WARNING", "Samples not published (410): "),
}


@pytest.mark.parametrize(("answer", "level", "beginning"), LINES.values(), ids=LINES)
async def test_every_post_is_logged(
    deliver: Any, answer: Response, level: str, beginning: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await deliver(answer).send("ab")
    text = f"POST to {REGION} {RESOURCE}: 2 samples in 330 bytes, {answer.seconds * 1000:.0f} ms"
    assert [(record.levelname, record.message) for record in caplog.records] == [
        (level, f"{beginning}{text}: {answer}")
    ]


async def test_many_rejections_are_few_lines(
    deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    delivery = deliver(BAD)
    await delivery.send("".join(map(chr, range(ord("A"), ord("A") + 50))))
    assert len(delivery.store.posts) == 99
    assert len(caplog.records) == 10


# --- Whatever the store answers -------------------------------------------------------------------


def check(store: ScriptedStore, aggregates: Aggregates, outcomes: Outcomes) -> None:
    """Everything has one outcome; what is published was accepted once, and nothing else was."""
    given = {
        (minute, one): aggregates[minute][one]
        for minute in aggregates
        for one in aggregates[minute]
    }
    published = {key: values for key, values in given.items() if key not in outcomes}
    assert outcomes.keys() <= given.keys()
    assert Status.PUBLISHED not in {outcome.status for outcome in outcomes.values()}
    accepted = [item for contents in store.accepted for item in contents.items()]
    assert Counter(key for key, _ in accepted) == Counter(published.keys())
    assert dict(accepted) == published


_KEYS = st.tuples(st.integers(0, 30), st.sampled_from("ab"), st.sampled_from("uvwxyz"))
_FAULTS = (
    OK,
    BAD,
    LATE,
    mismatch("northeurope"),
    mismatch(None),
    *map(Response, (200, 401, 413, 408, 429, 503)),
    Response(503, retry_after=9.0),
    Response(None, "ConnectionError"),
)
_RARE = (OSError("broken"), Response(403), Response(404), Response(429, retry_after=99.0))


@given(
    keys=st.sets(_KEYS, min_size=1, max_size=30),
    culprits=st.sets(_KEYS, max_size=3),
    faults=st.lists(st.sampled_from(_FAULTS), max_size=12),
    last=st.sampled_from((OK, OK, *_RARE)),
    max_bytes=st.sampled_from([ONE_LINE, 1_000, 65_536]),
    seconds=st.sampled_from([0.0, 0.7, 7.0]),
)
def test_everything_has_one_outcome_and_is_accepted_at_most_once(
    executor: ThreadPoolExecutor,
    keys: set[tuple[int, str, str]],
    culprits: set[tuple[int, str, str]],
    faults: list[Response],
    last: Response | Exception,
    max_bytes: int,
    seconds: float,
) -> None:
    def key_of(key: tuple[int, str, str]) -> tuple[datetime, Series]:
        return MINUTE - timedelta(minutes=key[0]), series(key[1], Queue=key[2])

    bad = set(map(key_of, culprits))
    left = [*faults, last]

    def script(target: Target, contents: Contents) -> Response:
        """Answer with the faults, then by the contents alone."""
        time.seconds += seconds
        answer = left.pop(0) if left else OK
        if isinstance(answer, Exception):
            raise answer
        if answer.status != 200:
            return answer
        if target.region != "northeurope" and len(faults) % 2:
            return mismatch("northeurope")
        if min(minute for minute, _ in contents) < time.now() - PAST:
            return LATE
        return BAD if contents.keys() & bad else OK

    store = ScriptedStore(script=script, max_bytes=max_bytes)
    delivery = Delivery(store, executor, corrected=[NORTH])
    time = delivery.time
    aggregates: dict[datetime, dict[Series, ValueSet]] = {}
    for number, key in enumerate(sorted(keys)):
        minute, one = key_of(key)
        aggregates.setdefault(minute, {})[one] = ValueSet(number, number + 1, 2 * number + 1, 2)
    outcomes = asyncio.run(delivery.sender.send(TARGET, aggregates))
    check(store, aggregates, outcomes)
    for place, outcome in outcomes.items():
        if outcome.status is Status.REJECTED and not {BAD, LATE, Response(413)} & set(faults):
            assert place in bad or outcome.reason is Reason.EXPIRED
