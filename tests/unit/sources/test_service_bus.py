"""Service Bus sources: counts, patterns, pages, and invalid responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.clients.http import Deadline
from shared.clients.sessions import open_session
from shared.model import Target
from shared.sources import Context, Source
from tests.unit.rollups import GROUP, NOW, REGION, RESOURCE
from tests.unit.sources.helpers import (
    RecordingLimiters,
    make_context,
    open_source,
    slow_limiter,
    take,
    values,
)
from tests.unit.stubs import (
    ManualClock,
    Request,
    Response,
    StubServer,
    StubTransport,
    json_response,
    serve,
    session_with,
)

NAMESPACE = f"{GROUP}/providers/Microsoft.ServiceBus/namespaces/orders"
API = "api-version=2021-11-01"
METRICS = (
    "ActiveMessages",
    "DeadLetterMessages",
    "ScheduledMessages",
    "TransferDeadLetterMessages",
)


def counts(*of: Any) -> dict[str, Any]:
    """Return countDetails: active, dead-lettered, scheduled and transfer dead-lettered."""
    members = ("active", "deadLetter", "scheduled", "transferDeadLetter")
    found = {f"{member}MessageCount": one for member, one in zip(members, of, strict=True)}
    return {**found, "transferMessageCount": 99}


def entity(name: Any, *of: Any) -> dict[str, Any]:
    """Return an entity; without counts, as most topics."""
    details = {"countDetails": counts(*of)} if of else {}
    return {"name": name, "properties": {"status": "Active", **details}}


class StubNamespace:
    """A namespace in Azure Resource Manager: entities by path, or responses in their place."""

    def __init__(self) -> None:
        self.entities: dict[str, list[Any]] = {"queues": [], "topics": []}
        self.instead: dict[str, Response | Callable[[Request], Response | None]] = {}
        self.page_size = 100
        self.server: StubServer

    def handle(self, request: Request) -> Response | None:
        path = request.path.removeprefix(f"{NAMESPACE}/")
        instead = self.instead.get(path)
        if isinstance(instead, Response):
            return instead
        if instead is not None and (response := instead(request)) is not None:
            return response
        if f"{API}" not in request.target or path not in self.entities:
            return json_response({"error": {"code": "NotFound", "message": path}}, 404)
        skip = int(request.query.get("$skip", "0"))
        end = skip + self.page_size
        page: dict[str, Any] = {"value": self.entities[path][skip:end]}
        if end < len(self.entities[path]):
            page["nextLink"] = f"{self.server.url}{request.path}?{API}&$skip={end}"
        return json_response(page)

    def requested(self) -> list[str]:
        """Return the requested paths, sorted: subscriptions are requested concurrently."""
        paths = (target.removeprefix(f"{NAMESPACE}/") for target in self.server.targets)
        return sorted(path.replace(f"?{API}", "") for path in paths)


@pytest.fixture
def namespace() -> Iterator[StubNamespace]:
    namespace = StubNamespace()
    with serve(namespace.handle) as namespace.server:
        yield namespace


@pytest.fixture
def context(namespace: StubNamespace) -> Iterator[Context]:
    with open_session(8) as session:
        yield make_context(arm=namespace.server.url, session=session)


def entry(*entities: str, **members: Any) -> dict[str, Any]:
    chosen = {"entities": list(entities)} if entities else {}
    common = {"kind": "service_bus", "resourceId": NAMESPACE, "region": REGION}
    return {**common, **chosen, **members}


def source_of(context: Context, *entities: str, **members: Any) -> Source:
    return open_source(entry(*entities, **members), context)


def series(*names: str, of: tuple[float, ...]) -> dict[tuple[str, ...], float]:
    return {(*names, metric): value for metric, value in zip(METRICS, of, strict=True)}


# --- Counts and patterns --------------------------------------------------------------------------


def test_queues_topics_and_subscriptions_are_counted(
    namespace: StubNamespace, context: Context
) -> None:
    namespace.entities = {
        "queues": [entity("in", 1, 2, 3, 4), entity("empty", 0, 0, 0, 0)],
        "topics": [
            entity("news", 0, 0, 7, 0),
            {"name": "quiet", "properties": {"countDetails": None}},
        ],
        "topics/news/subscriptions": [entity("mail", 5, 6, 0, 8)],
        "topics/quiet/subscriptions": [],
    }
    sample = take(source_of(context, dimensions={"Team": "shop"}, namespace="Bus"))
    assert sample.errors == []
    assert values(sample, "EntityName", "SubscriptionName") == {
        **series("in", of=(1, 2, 3, 4)),
        **series("empty", of=(0, 0, 0, 0)),
        **series("news", of=(0, 0, 7, 0)),
        **series("news", "mail", of=(5, 6, 0, 8)),
    }
    assert sample.rollup.target == Target(REGION, NAMESPACE)
    for group in sample.rollup.minutes.values():
        for one in group:
            assert (one.namespace, one.dimensions["Team"]) == ("Bus", "shop")
    tokens = {request.headers["Authorization"] for request in namespace.server.requests}
    assert tokens == {f"Bearer for-{namespace.server.url}/-0"}


def test_names_are_compared_as_service_bus_does(namespace: StubNamespace, context: Context) -> None:
    namespace.entities = {
        "queues": [
            entity("Orders", 1, 0, 0, 0),
            entity("EU~Orders", 2, 0, 0, 0),
            entity("EU~Test", 3, 0, 0, 0),
            entity("IMG-1", 4, 0, 0, 0),
        ],
        "topics": [entity("Shop~News"), entity("Other")],
        "topics/Shop~News/subscriptions": [entity("Mail", 5, 0, 0, 0), entity("Web", 6, 0, 0, 0)],
    }
    entities = ["orders", "eu/orders", "EU~*", "!eu/TEST", "img-*", "shop/news/mail", "Gone/Too"]
    sample = take(source_of(context, *entities))
    assert sample.errors == ["gone/too: no such queue, topic or subscription"]
    active = {key for key in values(sample, "EntityName", "SubscriptionName") if METRICS[0] in key}
    assert active == {
        ("Orders", METRICS[0]),
        ("EU/Orders", METRICS[0]),
        ("IMG-1", METRICS[0]),
        ("Shop/News", "Mail", METRICS[0]),
    }
    assert "topics/Shop~News/subscriptions" in namespace.requested()


def test_metrics_may_belong_to_another_resource(namespace: StubNamespace, context: Context) -> None:
    namespace.entities["queues"] = [entity("in", 1, 2, 3, 4)]
    given = {**entry(serviceBus=NAMESPACE), "resourceId": RESOURCE}
    sample = take(open_source(given, context))
    assert (sample.rollup.target.resource_id, sample.points) == (RESOURCE, 4)


def test_all_pages_are_read(namespace: StubNamespace, context: Context) -> None:
    namespace.page_size = 3
    subscriptions = [entity(f"s{number}", number, 0, 0, 0) for number in range(4)]
    namespace.entities = {
        "queues": [entity(f"q{number}", number, 0, 0, 0) for number in range(7)],
        "topics": [entity(f"t{number}") for number in range(4)],
        **{f"topics/t{number}/subscriptions": subscriptions for number in range(4)},
    }
    sample = take(source_of(context))
    assert (sample.points, sample.errors) == (4 * (7 + 4 * 4), [])
    # Three pages of queues, two of topics, two of each topic's subscriptions.
    assert len(namespace.server.requests) == 3 + 2 + 4 * 2


CHOSEN: dict[str, tuple[list[str], set[str], list[str]]] = {
    # Patterns, what is sampled, the topics whose subscriptions are listed.
    "all": ([], {"in", "in-test", "news/mail", "news/sms", "events/mail"}, ["events", "news"]),
    "queues": (["in*"], {"in", "in-test"}, []),
    "a subscription": (["news/mail"], {"news/mail"}, ["news"]),
    "exclusions": (["*", "!*-test", "!events", "!news/sms"], {"in", "news/mail"}, ["news"]),
}


@pytest.mark.parametrize(("patterns", "sampled", "topics"), CHOSEN.values(), ids=CHOSEN)
def test_entities_are_chosen(
    patterns: list[str],
    sampled: set[str],
    topics: list[str],
    namespace: StubNamespace,
    context: Context,
) -> None:
    namespace.entities = {
        "queues": [entity("in", 1, 1, 1, 1), entity("in-test", 1, 1, 1, 1)],
        "topics": [entity("news"), entity("events")],
        "topics/news/subscriptions": [entity("mail", 1, 1, 1, 1), entity("sms", 1, 1, 1, 1)],
        "topics/events/subscriptions": [entity("mail", 1, 1, 1, 1)],
    }
    found = values(take(source_of(context, *patterns)), "EntityName", "SubscriptionName")
    assert {"/".join(key[:-1]) for key in found} == sampled
    listed = [f"topics/{topic}/subscriptions" for topic in topics]
    assert namespace.requested() == ["queues", "topics", *listed]


def test_a_name_cannot_change_the_path(namespace: StubNamespace, context: Context) -> None:
    namespace.entities["topics"] = [entity("a/../../b?x=1#y")]
    assert len(take(source_of(context)).errors) == 1
    assert namespace.requested()[2:] == ["topics/a%2F..%2F..%2Fb%3Fx%3D1%23y/subscriptions"]


def test_namespaces_of_one_subscription_share_a_rate_limiter() -> None:
    limiters = RecordingLimiters()
    context = make_context(rate_limiter=limiters)
    source_of(context)
    open_source({**entry(), "resourceId": f"{NAMESPACE.upper()}-2"}, context)
    subscription = "/".join(NAMESPACE.split("/")[:3])
    assert limiters.made == [(f"https://management.azure.com{subscription}".lower(), 10.0)] * 2


def test_next_links_of_azure_name_the_port() -> None:
    link = f"https://management.azure.com:443{NAMESPACE}/queues?$skip=1"
    transport = StubTransport(
        json_response({"value": [], "nextLink": link}),
        json_response({"value": [entity("in", 1, 1, 1, 1)]}),
        json_response({"value": []}),
    )
    sample = take(source_of(make_context(session=session_with(transport))))
    assert (sample.points, sample.errors) == (4, [])


# --- Errors ---------------------------------------------------------------------------------------

REFUSED = json_response({"error": {"code": "Nope", "message": "No."}}, 403)


@pytest.mark.parametrize("path", ["queues", "topics"])
def test_queues_and_topics_are_sampled_without_each_other(
    path: str, namespace: StubNamespace, context: Context
) -> None:
    namespace.entities = {
        "queues": [entity("in", 1, 1, 1, 1)],
        "topics": [entity("news")],
        "topics/news/subscriptions": [entity("mail", 2, 2, 2, 2)],
    }
    namespace.instead[path] = REFUSED
    # Whether "missing" exists is unknown.
    sample = take(source_of(context, "*", "missing"))
    assert set(values(sample, "EntityName").values()) == {2.0 if path == "queues" else 1.0}
    assert sample.errors == [f"{namespace.server.url}{NAMESPACE}/{path}: 403 Nope No."]


def test_pages_before_an_error_count(namespace: StubNamespace, context: Context) -> None:
    namespace.page_size = 2
    namespace.entities["queues"] = [entity(f"q{number}", 1, 1, 1, 1) for number in range(5)]
    namespace.instead["queues"] = lambda request: REFUSED if "$skip" in request.query else None
    sample = take(source_of(context))
    assert {key[0] for key in values(sample, "EntityName")} == {"q0", "q1"}
    assert sample.error_count == 1


def test_topics_are_sampled_without_each_other(namespace: StubNamespace, context: Context) -> None:
    namespace.entities = {
        "queues": [],
        "topics": [entity("a"), entity("b"), entity("c")],
        "topics/a/subscriptions": [entity("s", 1, 1, 1, 1)],
        "topics/c/subscriptions": [entity("s", 2, 2, 2, 2)],
    }
    namespace.instead["topics/b/subscriptions"] = REFUSED
    sample = take(source_of(context))
    assert {key[0] for key in values(sample, "EntityName")} == {"a", "c"}
    url = f"{namespace.server.url}{NAMESPACE}/topics/b/subscriptions"
    assert sample.errors == [f"topic b: {url}: 403 Nope No."]


MISSING: dict[str, tuple[list[str], list[str]]] = {
    # Patterns, and those of them that are missing.
    "none": (["in", "news", "news/mail", "a/b"], []),
    "a queue": (["in", "inn"], ["inn"]),
    "a subscription": (["news/mail", "news/fax"], ["news/fax"]),
    "a topic": (["olds/mail", "news"], ["olds/mail"]),
    "excluded": (["in", "inn", "news/fax", "!inn", "!news/f*"], []),
    "a child of a queue": (["in/mail"], ["in/mail"]),
    "patterns": (["x*", "*/fax"], []),
}


@pytest.mark.parametrize(("patterns", "missing"), MISSING.values(), ids=MISSING)
def test_a_name_that_does_not_exist_is_an_error(
    patterns: list[str], missing: list[str], namespace: StubNamespace, context: Context
) -> None:
    namespace.entities = {
        "queues": [entity("in", 1, 1, 1, 1), entity("a/b", 1, 1, 1, 1)],
        "topics": [entity("news")],
        "topics/news/subscriptions": [entity("mail", 1, 1, 1, 1)],
    }
    assert take(source_of(context, *patterns)).errors == [
        f"{name}: no such queue, topic or subscription" for name in missing
    ]


NOT_A_PAGE: dict[str, tuple[Any, str]] = {
    "array": ([], "Expected `array`, got `null`"),
    "null": (None, "Expected `array`, got `null`"),
    "no value": ({}, "Expected `array`, got `null`"),
    "value that is an object": ({"value": {"in": 1}}, "Expected `array`, got `object`"),
    "entity that is text": ({"value": ["in"]}, "Expected `object`, got `str` - at `$[0]`"),
    "entity without a name": (
        {"value": [{"properties": {}}]},
        "Object missing required field `name` - at `$[0]`",
    ),
    "name that is a number": (
        {"value": [entity(5)]},
        "Expected `str`, got `int` - at `$[0].name`",
    ),
    "empty name": (
        {"value": [entity("")]},
        "Expected `str` of length >= 1 - at `$[0].name`",
    ),
    "long name": (
        {"value": [entity("n" * 257)]},
        "Expected `str` of length <= 256 - at `$[0].name`",
    ),
    "no properties": (
        {"value": [{"name": "in"}]},
        "Object missing required field `properties` - at `$[0]`",
    ),
    "a valid entity beside it": (
        {"value": [entity("in", 1, 1, 1, 1), {"name": None}]},
        "Expected `str`, got `null` - at `$[1].name`",
    ),
}


@pytest.mark.parametrize(("document", "text"), NOT_A_PAGE.values(), ids=NOT_A_PAGE)
def test_a_response_that_is_not_a_page_is_an_error(
    document: Any, text: str, namespace: StubNamespace, context: Context
) -> None:
    namespace.instead["queues"] = json_response(document)
    sample = take(source_of(context))
    url = f"{namespace.server.url}{NAMESPACE}/queues"
    assert sample.errors == [f"{url}: the response is not a valid page: {text}"]
    assert sample.points == 0


NO_DETAILS = "the response has no countDetails"
NOT_A_COUNT = "countDetails.{}MessageCount is not a count: {}"
DETAILS: dict[str, tuple[Any, int, list[str]]] = {
    # Properties, points, errors.
    "missing": ({}, 0, [NO_DETAILS]),
    "a number": ({"countDetails": 5}, 0, [NO_DETAILS]),
    "one count missing": (
        {"countDetails": {"activeMessageCount": 1, "deadLetterMessageCount": 2}},
        2,
        [NOT_A_COUNT.format(name, "null") for name in ("scheduled", "transferDeadLetter")],
    ),
    "invalid": (
        {"countDetails": counts("7", True, 1.5, -1)},
        0,
        [
            NOT_A_COUNT.format("active", '"7"'),
            NOT_A_COUNT.format("deadLetter", "true"),
            NOT_A_COUNT.format("scheduled", "1.5"),
            NOT_A_COUNT.format("transferDeadLetter", "-1"),
        ],
    ),
}


@pytest.mark.parametrize(("properties", "points", "errors"), DETAILS.values(), ids=DETAILS)
def test_an_invalid_count_is_an_error_of_its_metric(
    properties: Any, points: int, errors: list[str], namespace: StubNamespace, context: Context
) -> None:
    odd = {"name": "odd", "properties": properties}
    namespace.entities = {
        "queues": [odd, entity("in", 1, 1, 1, 1)],
        "topics": [entity("news")],
        "topics/news/subscriptions": [odd],
    }
    sample = take(source_of(context))
    assert sample.points == 4 + 2 * points
    assert sample.errors == [f"{name}: {error}" for name in ("odd", "news/odd") for error in errors]


# --- A short deadline -----------------------------------------------------------------------------


def test_topics_that_are_too_many_for_a_tick_take_turns(namespace: StubNamespace) -> None:
    names = [f"t{number}" for number in range(6)]
    namespace.entities = {
        "queues": [],
        "topics": [entity(name) for name in names],
        **{f"topics/{name}/subscriptions": [entity("s", 1, 1, 1, 1)] for name in names},
    }
    clock = ManualClock()
    with open_session(8) as session:
        context = make_context(
            arm=namespace.server.url, session=session, rate_limiter=slow_limiter(clock)
        )
        source = source_of(context)
        read: list[list[str]] = []
        for tick in range(4):
            namespace.instead = {"topics": REFUSED} if tick == 1 else {}
            sample = take(source, NOW, Deadline(4.5, clock))
            clock.sleep(60)
            read.append(sorted({key[0] for key in values(sample, "EntityName")}))
            if tick != 1:
                limit = "the rate limit is 1 requests per second, 1 at a time"
                missing = 6 - len(read[-1])
                assert sample.errors == [
                    f"{missing} of 6 topics not read before the deadline: {limit}"
                ]
    # Two requests are for the lists; after idle time, one more starts at once. A tick without the
    # list of topics does not start again.
    assert read == [["t0", "t1"], [], ["t2", "t3", "t4"], ["t0", "t1", "t5"]]


def test_pages_of_a_topic_before_the_deadline_count(namespace: StubNamespace) -> None:
    namespace.page_size = 1
    namespace.entities = {
        "queues": [],
        "topics": [entity("a")],
        "topics/a/subscriptions": [entity(f"s{number}", 1, 1, 1, 1) for number in range(9)],
    }
    clock = ManualClock()
    with open_session(8) as session:
        context = make_context(
            arm=namespace.server.url, session=session, rate_limiter=slow_limiter(clock)
        )
        sample = take(source_of(context), NOW, Deadline(5.5, clock))
    found = values(sample, "EntityName", "SubscriptionName")
    assert {key[1] for key in found} == {"s0", "s1", "s2"}
    assert sample.error_count == 1
