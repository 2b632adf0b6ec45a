"""Service Bus through ARM: what is counted, what is chosen, what a bad answer does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from builders import GROUP, LANE, NOW, REGION
from scripted import Asked, Said, Server, said, serving
from sourcing import Standing, make_context, open_gate, open_one, take, values
from transport import Reply, Transport, session_with

from shared.clients.deadline import Deadline
from shared.clients.http import open_session
from shared.clients.rate_limiter import Gate
from shared.model import Lane
from shared.sources import Context, Source
from shared.sources.sampler import Sample, fill

NAMESPACE = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/orders"
API = "api-version=2021-11-01"
METRICS = (
    "ActiveMessages",
    "DeadLetterMessages",
    "ScheduledMessages",
    "TransferDeadLetterMessages",
)


def counts(*of: Any) -> dict[str, Any]:
    """countDetails with active, dead-lettered, scheduled and transfer dead-lettered messages."""
    active, dead, scheduled, transfer_dead = of
    return {
        "activeMessageCount": active,
        "deadLetterMessageCount": dead,
        "scheduledMessageCount": scheduled,
        "transferMessageCount": 99,
        "transferDeadLetterMessageCount": transfer_dead,
    }


def entity(name: Any, *of: Any) -> dict[str, Any]:
    """An entity of a list; without counts as topics often are."""
    properties = {"status": "Active", "sizeInBytes": 0}
    details = {"countDetails": counts(*of)} if of else {}
    return {
        "id": f"{NAMESPACE}/queues/{name}",
        "name": name,
        "type": "Microsoft.ServiceBus/Namespaces/Queues",
        "properties": properties | details,
    }


class Arm:
    """A namespace in ARM: entities by path, so many on a page, or answers in place of them."""

    def __init__(self) -> None:
        self.entities: dict[str, list[Any]] = {"queues": [], "topics": []}
        self.instead: dict[str, Said | Callable[[Asked], Said | None]] = {}
        self.page = 100
        self.server: Server

    def answer(self, asked: Asked) -> Said | None:
        path = asked.path.removeprefix(f"{NAMESPACE}/")
        instead = self.instead.get(path)
        if isinstance(instead, Said):
            return instead
        if instead is not None and (answer := instead(asked)) is not None:
            return answer
        if asked.query.get("api-version") != "2021-11-01" or path not in self.entities:
            return said({"error": {"code": "ResourceNotFound", "message": path}}, 404)
        skip = int(asked.query.get("$skip", "0"))
        page: dict[str, Any] = {"value": self.entities[path][skip : skip + self.page]}
        if skip + self.page < len(self.entities[path]):
            rest = f"{API}&$skip={skip + self.page}&$top={self.page}"
            page["nextLink"] = f"{self.server.url}{asked.path}?{rest}"
        return said(page)

    def asked(self) -> list[str]:
        """What of the namespace was asked for, sorted: subscriptions are asked for at once."""
        found = (target.removeprefix(f"{NAMESPACE}/") for target in self.server.targets)
        return sorted(target.replace(f"?{API}", "") for target in found)


@pytest.fixture
def arm() -> Iterator[Arm]:
    arm = Arm()
    with serving(arm.answer) as arm.server:
        yield arm


@pytest.fixture
def context(arm: Arm) -> Iterator[Context]:
    with open_session(8) as session:
        yield make_context(arm=arm.server.url, session=session)


def entry(*entities: str, **members: Any) -> dict[str, Any]:
    chosen = {"entities": list(entities)} if entities else {}
    return {
        "kind": "service_bus",
        "resourceId": NAMESPACE,
        "region": REGION,
        **chosen,
        **members,
    }


def open_source(context: Context, *entities: str, **members: Any) -> Source:
    return open_one(entry(*entities, **members), context)


def series(*names: str, of: tuple[float, ...]) -> dict[tuple[str, ...], float]:
    """Dimension values and metric -> value, of the four metrics of an entity."""
    return {(*names, metric): value for metric, value in zip(METRICS, of, strict=True)}


def failure(source: Source) -> str:
    """The one problem of a sample without points."""
    sample = take(source, NOW)
    assert sample.points == []
    (problem,) = sample.problems
    assert "\n" not in problem
    return problem


def test_queues_topics_and_subscriptions_are_counted(arm: Arm, context: Context) -> None:
    arm.entities = {
        "queues": [entity("in", 1, 2, 3, 4), entity("empty", 0, 0, 0, 0)],
        "topics": [entity("news", 0, 0, 7, 0), entity("quiet")],
        "topics/news/subscriptions": [entity("mail", 5, 6, 0, 8)],
        "topics/quiet/subscriptions": [],
    }
    sample = take(open_source(context, dimensions={"Team": "shop"}, namespace="Bus"), NOW)
    assert sample.problems == []
    assert values(sample, "EntityName", "SubscriptionName") == {
        **series("in", of=(1, 2, 3, 4)),
        **series("empty", of=(0, 0, 0, 0)),
        **series("news", of=(0, 0, 7, 0)),
        **series("news", "mail", of=(5, 6, 0, 8)),
    }
    for point in sample.points:
        assert (point.lane, point.namespace, point.time) == (Lane(REGION, NAMESPACE), "Bus", NOW)
        assert dict(point.dimensions)["Team"] == "shop"
    assert arm.asked() == [
        "queues",
        "topics",
        "topics/news/subscriptions",
        "topics/quiet/subscriptions",
    ]


def test_requests_carry_a_token_for_arm(arm: Arm, context: Context) -> None:
    take(open_source(context), NOW)
    tokens = {asked.headers["Authorization"] for asked in arm.server.asked}
    assert tokens == {f"Bearer for-{arm.server.url}/-0"}


def test_metrics_may_belong_to_another_resource(arm: Arm, context: Context) -> None:
    arm.entities["queues"] = [entity("in", 1, 2, 3, 4)]
    given = {**entry(serviceBus=NAMESPACE), "resourceId": LANE.resource_id}
    sample = take(open_one(given, context), NOW)
    assert {point.lane for point in sample.points} == {LANE}
    assert len(sample.points) == 4


def test_all_pages_are_read(arm: Arm, context: Context) -> None:
    arm.page = 3
    arm.entities = {
        "queues": [entity(f"q{number}", number, 0, 0, 0) for number in range(7)],
        "topics": [entity(f"t{number}") for number in range(4)],
        **{
            f"topics/t{number}/subscriptions": [
                entity(f"s{index}", index, 0, 0, 0) for index in range(4)
            ]
            for number in range(4)
        },
    }
    sample = take(open_source(context), NOW)
    assert sample.problems == []
    active = {
        key: value
        for key, value in values(sample, "EntityName", "SubscriptionName").items()
        if key[-1] == "ActiveMessages"
    }
    of_queues: dict[tuple[str, ...], float] = {
        (f"q{number}", "ActiveMessages"): number for number in range(7)
    }
    of_subscriptions: dict[tuple[str, ...], float] = {
        (f"t{number}", f"s{index}", "ActiveMessages"): index
        for number in range(4)
        for index in range(4)
    }
    assert active == {**of_queues, **of_subscriptions}
    # Three pages of queues, two of topics, two of each topic's subscriptions.
    assert len(arm.server.asked) == 3 + 2 + 4 * 2


CHOSEN: dict[str, tuple[list[str], set[str], list[str]]] = {
    # patterns, what is sampled, the topics that are asked for subscriptions
    "all": ([], {"in", "in-test", "news/mail", "news/sms", "events/mail"}, ["events", "news"]),
    "a queue": (["in"], {"in"}, []),
    "queues": (["in*"], {"in", "in-test"}, []),
    "a topic": (["news"], {"news/mail", "news/sms"}, ["news"]),
    "a subscription": (["news/mail"], {"news/mail"}, ["news"]),
    "of every topic": (["*/mail"], {"news/mail", "events/mail"}, ["events", "news"]),
    "but for": (
        ["*", "!*-test", "!events", "!news/sms"],
        {"in", "news/mail"},
        ["news"],
    ),
}


@pytest.mark.parametrize(("patterns", "sampled", "topics"), CHOSEN.values(), ids=CHOSEN)
def test_patterns_choose(
    patterns: list[str], sampled: set[str], topics: list[str], arm: Arm, context: Context
) -> None:
    arm.entities = {
        "queues": [entity("in", 1, 1, 1, 1), entity("in-test", 1, 1, 1, 1)],
        "topics": [entity("news"), entity("events")],
        "topics/news/subscriptions": [entity("mail", 1, 1, 1, 1), entity("sms", 1, 1, 1, 1)],
        "topics/events/subscriptions": [entity("mail", 1, 1, 1, 1)],
    }
    sample = take(open_source(context, *patterns), NOW)
    found = values(sample, "EntityName", "SubscriptionName")
    assert {"/".join(key[:-1]) for key in found} == sampled
    assert len(found) == len(sampled) * len(METRICS)
    asked = [f"topics/{topic}/subscriptions" for topic in topics]
    assert arm.asked() == ["queues", "topics", *asked]


def test_a_name_cannot_change_the_path(arm: Arm, context: Context) -> None:
    arm.entities["topics"] = [entity("a/../../b?x=1#y")]
    sample = take(open_source(context), NOW)
    assert arm.asked()[2:] == ["topics/a%2F..%2F..%2Fb%3Fx%3D1%23y/subscriptions"]
    assert len(sample.problems) == 1


# --- Refusals -------------------------------------------------------------------------------------

ERRORS = {
    401: ("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now."),
    403: ("AuthorizationFailed", "The client does not have authorization to perform action."),
    404: ("ParentResourceNotFound", "Failed to perform 'read' on resource(s)."),
    429: ("SubscriptionRequestsThrottled", "Number of requests exceeded the limit."),
    500: ("InternalServerError", "The server was unable to complete your request."),
    503: ("MessagingGatewayTimeout", "Try again later."),
}


def refusal(status: int) -> Said:
    code, message = ERRORS[status]
    return said({"error": {"code": code, "message": message}}, status)


@pytest.mark.parametrize("status", ERRORS)
def test_a_refusal_is_one_problem_in_its_own_words(status: int, arm: Arm, context: Context) -> None:
    arm.instead["queues"] = refusal(status)
    code, message = ERRORS[status]
    text = failure(open_source(context))
    assert text == f"{arm.server.url}{NAMESPACE}/queues: {status} {code} {message}"
    assert arm.asked() == ["queues", "topics"]


@pytest.mark.parametrize("refused", ["queues", "topics"])
def test_of_queues_and_topics_one_is_sampled_when_the_other_is_refused(
    refused: str, arm: Arm, context: Context
) -> None:
    arm.entities = {
        "queues": [entity("in", 1, 1, 1, 1)],
        "topics": [entity("news")],
        "topics/news/subscriptions": [entity("mail", 2, 2, 2, 2)],
    }
    arm.instead[refused] = refusal(500)
    # Where the name may be is not known.
    sample = take(open_source(context, "*", "gone"), NOW)
    left = 2.0 if refused == "queues" else 1.0
    assert [point.sum for point in sample.points] == [left] * 4
    code, message = ERRORS[500]
    url = f"{arm.server.url}{NAMESPACE}/{refused}"
    assert sample.problems == [f"{url}: 500 {code} {message}"]


def test_a_page_that_is_refused_does_not_undo_those_before(arm: Arm, context: Context) -> None:
    arm.page = 2
    arm.entities["queues"] = [entity(f"q{number}", 1, 1, 1, 1) for number in range(5)]
    arm.instead["queues"] = lambda asked: refusal(500) if "$skip" in asked.query else None
    sample = take(open_source(context), NOW)
    assert {dict(point.dimensions)["EntityName"] for point in sample.points} == {"q0", "q1"}
    assert sample.errors == 1


NAMED: dict[str, tuple[list[str], list[str]]] = {
    # patterns, those of them that are missed
    "all are there": (["in", "news", "news/mail", "a/b"], []),
    "a queue": (["in", "inn"], ["inn"]),
    "a subscription": (["news/mail", "news/fax"], ["news/fax"]),
    "a topic": (["olds/mail", "news"], ["olds/mail"]),
    "what is excluded": (["in", "inn", "news/fax", "!inn", "!news/f*"], []),
    "below a queue": (["in/mail"], ["in/mail"]),
    "patterns choose nothing": (["x*", "*/fax"], []),
}


@pytest.mark.parametrize(("patterns", "missed"), NAMED.values(), ids=NAMED)
def test_a_name_that_is_not_there_is_a_problem(
    patterns: list[str], missed: list[str], arm: Arm, context: Context
) -> None:
    arm.entities = {
        "queues": [entity("in", 1, 1, 1, 1), entity("a/b", 1, 1, 1, 1)],
        "topics": [entity("news")],
        "topics/news/subscriptions": [entity("mail", 1, 1, 1, 1)],
    }
    assert take(open_source(context, *patterns), NOW).problems == [
        f"{name}: there is no such queue, topic or subscription" for name in missed
    ]


def test_a_topic_that_is_refused_stops_no_other(arm: Arm, context: Context) -> None:
    arm.entities = {
        "queues": [],
        "topics": [entity("a"), entity("b"), entity("c"), entity("d")],
        "topics/a/subscriptions": [entity("s", 1, 1, 1, 1)],
        "topics/d/subscriptions": [entity("s", 2, 2, 2, 2)],
    }
    arm.instead = {"topics/b/subscriptions": refusal(429), "topics/c/subscriptions": Said(200)}
    sample = take(open_source(context), NOW)
    assert {point.sum for point in sample.points} == {1.0, 2.0}
    assert len(sample.points) == 8
    url = f"{arm.server.url}{NAMESPACE}"
    first, second = sample.problems
    assert first == (
        f"topic b: {url}/topics/b/subscriptions: 429 "
        "SubscriptionRequestsThrottled Number of requests exceeded the limit."
    )
    assert second.startswith(f"topic c: {url}/topics/c/subscriptions: not JSON: ")


WRONG: dict[str, Any] = {
    "array": [],
    "text": "queues",
    "null": None,
    "no value": {},
    "value that is null": {"value": None},
    "value that is an object": {"value": {"in": 1}},
    "entity that is text": {"value": ["in"]},
    "entity without a name": {"value": [{"properties": {}}]},
    "name that is a number": {"value": [entity(5)]},
    "empty name": {"value": [entity("")]},
    "long name": {"value": [entity("n" * 257)]},
    "no properties": {"value": [{"name": "in"}]},
    "properties that are null": {"value": [{"name": "in", "properties": None}]},
    "a good one beside it": {"value": [entity("in", 1, 1, 1, 1), {"name": None}]},
}


@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG)
def test_what_is_no_list_of_entities_is_said(document: Any, arm: Arm, context: Context) -> None:
    arm.instead["queues"] = said(document)
    assert failure(open_source(context)) == (
        f"{arm.server.url}{NAMESPACE}/queues: not a page of entities with name and properties"
    )


DETAILS: dict[str, tuple[Any, int, list[str]]] = {
    # countDetails, how many points, problems
    "missing": ({}, 0, ["no countDetails in the answer"]),
    "null": ({"countDetails": None}, 0, ["no countDetails in the answer"]),
    "a number": ({"countDetails": 5}, 0, ["no countDetails in the answer"]),
    "one count missing": (
        {"countDetails": {n: 1 for n in counts(1, 1, 1, 1) if n != "deadLetterMessageCount"}},
        3,
        ["countDetails.deadLetterMessageCount is no count: None"],
    ),
    "counts of other types": (
        {"countDetails": counts("7", True, 1.5, None)},
        0,
        [
            "countDetails.activeMessageCount is no count: '7'",
            "countDetails.deadLetterMessageCount is no count: True",
            "countDetails.scheduledMessageCount is no count: 1.5",
            "countDetails.transferDeadLetterMessageCount is no count: None",
        ],
    ),
    "less than nothing": (
        {"countDetails": counts(-1, 0, 0, 0)},
        3,
        ["countDetails.activeMessageCount is no count: -1"],
    ),
}


@pytest.mark.parametrize(("details", "points", "problems"), DETAILS.values(), ids=DETAILS)
def test_counts_that_are_none_are_said_and_the_rest_is_sampled(
    details: Any, points: int, problems: list[str], arm: Arm, context: Context
) -> None:
    arm.entities["queues"] = [{"name": "odd", "properties": details}, entity("in", 1, 1, 1, 1)]
    arm.entities["topics"] = [entity("news")]
    arm.entities["topics/news/subscriptions"] = [{"name": "odd", "properties": details}]
    sample = take(open_source(context), NOW)
    assert len(sample.points) == 4 + 2 * points
    assert sample.problems == [
        f"{name}: {problem}" for name in ("odd", "news/odd") for problem in problems
    ]


def test_a_topic_without_counts_is_no_problem(arm: Arm, context: Context) -> None:
    arm.entities["topics"] = [
        entity("a"),
        {"name": "b", "properties": {"countDetails": None}},
    ]
    arm.entities |= {f"topics/{name}/subscriptions": [] for name in "ab"}
    sample = take(open_source(context), NOW)
    assert (sample.points, sample.problems) == ([], [])


def test_pages_in_a_circle_are_left(arm: Arm, context: Context) -> None:
    link = f"{arm.server.url}{NAMESPACE}/queues?{API}"
    arm.instead["queues"] = said({"value": [], "nextLink": link})
    assert failure(open_source(context)).endswith("/queues: the pages go round in a circle")


def test_a_page_on_another_host_is_not_asked_for(arm: Arm, context: Context) -> None:
    with serving(lambda _: said({"value": []})) as stranger:
        arm.instead["queues"] = said({"value": [], "nextLink": f"{stranger.url}/?token=x"})
        text = failure(open_source(context))
        assert text.endswith(f"the next page is on another host: {stranger.url}/")
        assert stranger.asked == []


def test_the_port_that_arm_names_in_its_links_is_its_own() -> None:
    first = {"value": [], "nextLink": f"https://management.azure.com:443{NAMESPACE}/queues?$skip=1"}
    transport = Transport(
        Reply(200, json.dumps(first)),
        Reply(200, json.dumps({"value": [entity("in", 1, 1, 1, 1)]})),
        Reply(200, '{"value": []}'),
    )
    context = make_context(session=session_with(transport))
    sample = take(open_source(context), NOW)
    assert (len(sample.points), sample.problems) == (4, [])


def test_namespaces_of_one_subscription_share_a_gate() -> None:
    opened: list[tuple[str, float]] = []

    def gate(name: str, per_second: float) -> Gate:
        opened.append((name, per_second))
        return open_gate()

    context = make_context(gate=gate)
    open_source(context)
    open_one({**entry(), "resourceId": f"{NAMESPACE.upper()}-2"}, context)
    subscription = "/".join(NAMESPACE.split("/")[:3])
    assert opened == [(f"https://management.azure.com{subscription}".lower(), 10.0)] * 2


def test_topics_that_are_too_many_for_a_tick_take_turns(arm: Arm) -> None:
    names = [f"t{number}" for number in range(10)]
    arm.entities = {
        "queues": [],
        "topics": [entity(name) for name in names],
        **{f"topics/{name}/subscriptions": [entity("s", 1, 1, 1, 1)] for name in names},
    }
    with open_session(8) as session:
        clock = Standing()

        def gate(name: str, per_second: float) -> Gate:
            return Gate(at_once=1, per_second=1.0, clock=clock, sleep=clock.sleep)

        context = make_context(arm=arm.server.url, session=session, gate=gate)
        source = open_source(context)
        read: list[list[str]] = []
        for tick in range(4):
            sample = Sample()
            fill(sample, source, NOW, Deadline(6.5, clock=clock))
            clock.now += 60
            read.append([dict(one.dimensions)["EntityName"] for one in sample.points[::4]])
            missing = 10 - len(read[tick])
            limits = "at most 1 requests at once and 1 a second"
            assert sample.problems == [f"{missing} of 10 topics not read in time: {limits}"]
    # Two requests are for the lists; after a pause one more goes at once.
    assert read == [
        ["t0", "t1", "t2", "t3"],
        ["t4", "t5", "t6", "t7", "t8"],
        ["t9", "t0", "t1", "t2", "t3"],
        ["t4", "t5", "t6", "t7", "t8"],
    ]


def test_a_tick_without_the_topics_does_not_begin_again(arm: Arm) -> None:
    names = [f"t{number}" for number in range(6)]
    arm.entities = {
        "queues": [],
        "topics": [entity(name) for name in names],
        **{f"topics/{name}/subscriptions": [entity("s", 1, 1, 1, 1)] for name in names},
    }
    clock = Standing()

    def gate(name: str, per_second: float) -> Gate:
        return Gate(at_once=1, per_second=1.0, clock=clock, sleep=clock.sleep)

    with open_session(8) as session:
        source = open_source(make_context(arm=arm.server.url, session=session, gate=gate))
        read: list[str] = []
        for tick in range(5):
            arm.instead = {"topics": refusal(500)} if tick % 2 else {}
            sample = Sample()
            fill(sample, source, NOW, Deadline(4.5, clock=clock))
            clock.now += 60
            read += [dict(one.dimensions)["EntityName"] for one in sample.points[::4]]
    assert read == ["t0", "t1", "t2", "t3", "t4", "t5", "t0", "t1"]


def test_what_came_of_a_topic_that_was_too_late_is_kept(arm: Arm) -> None:
    arm.page = 1
    arm.entities = {
        "queues": [],
        "topics": [entity("a")],
        "topics/a/subscriptions": [entity(f"s{number}", 1, 1, 1, 1) for number in range(9)],
    }
    clock = Standing()

    def gate(name: str, per_second: float) -> Gate:
        return Gate(at_once=1, per_second=1.0, clock=clock, sleep=clock.sleep)

    with open_session(8) as session:
        source = open_source(make_context(arm=arm.server.url, session=session, gate=gate))
        sample = Sample()
        fill(sample, source, NOW, Deadline(5.5, clock=clock))
    found = values(sample, "EntityName", "SubscriptionName")
    assert {key[1] for key in found} == {"s0", "s1", "s2"}
    assert sample.errors == 1
