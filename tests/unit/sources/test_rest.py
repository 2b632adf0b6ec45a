"""Any JSON: what JMESPath finds in it, and what of that is a number."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from builders import LANE, NOW, REGION, RESOURCE
from hypothesis import given
from hypothesis import strategies as st
from scripted import Asked, Said, routes, said, serving
from sourcing import make_context, open_gate, open_one, take, values
from transport import Reply, Transport, session_with

from shared.clients.http import open_session
from shared.clients.rate_limiter import Gate
from shared.sources import Source, load_sources
from shared.sources.sampler import Sample

URL = "https://host.example/stats"
WHERE = "METRICS_SOURCES[0]"


def entry(**members: Any) -> dict[str, Any]:
    whole = {
        "kind": "rest",
        "resourceId": RESOURCE,
        "region": REGION,
        "url": URL,
        "metrics": {"Depth": "depth"},
        **members,
    }
    return {name: value for name, value in whole.items() if value is not None}


def open_source(session: requests.Session | None = None, **members: Any) -> Source:
    return open_one(entry(**members), make_context(session=session))


def sampled(document: Any, **members: Any) -> Sample:
    """A sample of a document; bytes are sent as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document)
    return take(open_source(session_with(Transport(Reply(200, body))), **members), NOW)


def failure(source: Source) -> str:
    """The last problem of a sample."""
    problem = take(source, NOW).problems[-1]
    assert "\n" not in problem
    return problem


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with open_session(4) as opened:
        yield opened


# --- What is found --------------------------------------------------------------------------------


def test_the_answer_is_one_thing_unless_items_are_found() -> None:
    sample = sampled(
        {"depth": 7, "age": {"seconds": 1.5}},
        metrics={"Depth": "depth", "Age": "age.seconds"},
        dimensions={"Team": "shop"},
    )
    assert sample.problems == []
    assert values(sample) == {("Depth",): 7.0, ("Age",): 1.5}
    for point in sample.points:
        assert (point.lane, point.namespace, point.time) == (LANE, "QueueProcessing", NOW)
        assert point.dimensions == (("Team", "shop"),)


def test_items_have_dimensions_of_their_own() -> None:
    sample = sampled(
        {
            "value": [
                {"name": "a", "state": {"depth": 1, "ok": True}, "shard": 3},
                {"name": "b", "state": {"depth": 2, "ok": False}, "shard": 4.5},
            ]
        },
        items="value[]",
        metrics={"Depth": "state.depth"},
        itemDimensions={"Name": "name", "Healthy": "state.ok", "Shard": "shard"},
        dimensions={"Team": "shop"},
    )
    assert sample.problems == []
    assert values(sample, "Name", "Healthy", "Shard", "Team") == {
        ("a", "true", "3", "shop", "Depth"): 1.0,
        ("b", "false", "4.5", "shop", "Depth"): 2.0,
    }


def test_the_language_is_that_of_az_query() -> None:
    sample = sampled(
        {"machines": [{"state": "up", "n": 1}, {"state": "down", "n": 2}, {"state": "up", "n": 4}]},
        metrics={
            "Up": "length(machines[?state=='up'])",
            "Sum": "sum(machines[?state=='up'].n)",
            "Most": "max_by(machines, &n).n",
            "Text": "to_number('12.5')",
        },
    )
    assert sample.problems == []
    assert values(sample) == {("Up",): 2, ("Sum",): 5, ("Most",): 4, ("Text",): 12.5}


def test_no_items_are_no_points() -> None:
    sample = sampled({"value": []}, items="value")
    assert (sample.points, sample.errors) == ([], 0)


def test_pages_are_followed(session: requests.Session) -> None:
    pages = {
        "/stats": said({"value": [{"n": "a", "depth": 1}], "nextLink": "/stats?page=2"}),
        "/stats?page=2": said({"value": [{"n": "b", "depth": 2}], "nextLink": None}),
    }
    with serving(routes(pages)) as server:
        url = f"{server.url}/stats"
        source = open_source(session, url=url, items="value", itemDimensions={"N": "n"})
        sample = take(source, NOW)
        assert values(sample, "N") == {("a", "Depth"): 1, ("b", "Depth"): 2}
        assert server.targets == ["/stats", "/stats?page=2"]


def test_the_link_is_where_the_entry_says() -> None:
    transport = Transport(
        Reply(200, '[{"depth": 1}, {"links": {"next": "/2"}}]'), Reply(200, '[{"depth": 2}]')
    )
    source = open_source(session_with(transport), items="[?depth]", nextLink="[-1].links.next")
    assert [point.sum for point in take(source, NOW).points] == [1.0, 2.0]


# --- What is no number ----------------------------------------------------------------------------

TOO_LARGE = "is not a finite number of double precision"
NO_NUMBERS: dict[str, tuple[str, bytes, str]] = {
    # expression, answer, text
    "missing": ("depth", b"{}", "null is not a number"),
    "null": ("depth", b'{"depth": null}', "null is not a number"),
    "text": ("depth", b'{"depth": "7"}', "'7' is not a number"),
    "empty text": ("depth", b'{"depth": ""}', "'' is not a number"),
    "long text": (
        "depth",
        json.dumps({"depth": "x" * 1000}).encode(),
        f"'{'x' * 80}'… is not a number",
    ),
    "text of two lines": ("depth", b'{"depth": "a\\nb"}', "'a\\nb' is not a number"),
    "true": ("depth", b'{"depth": true}', "true is not a number"),
    "array": ("depth", b'{"depth": [1]}', "an array is not a number"),
    "object": ("depth", b'{"depth": {"n": 1}}', "an object is not a number"),
    "infinity": ("to_number('1e999')", b"{}", f"inf {TOO_LARGE}"),
    "less than all": ("to_number('-1e999')", b"{}", f"-inf {TOO_LARGE}"),
    "not a number": ("to_number('nan')", b"{}", f"nan {TOO_LARGE}"),
    "a sum beyond all": ("sum(n)", b'{"n": [1e308, 1e308]}', f"inf {TOO_LARGE}"),
    "whole number beyond all": (
        "depth",
        b'{"depth": 1' + b"0" * 400 + b"}",
        f"1{'0' * 79}… {TOO_LARGE}",
    ),
    "whole number in text": (
        f"to_number('1{'0' * 400}')",
        b"{}",
        f"1{'0' * 79}… {TOO_LARGE}",
    ),
    "wrong type for a function": (
        "length(depth)",
        b'{"depth": 7}',
        (
            "In function length(), invalid type for value: 7, expected one of: "
            "['string', 'array', 'object'], received: \"number\""
        ),
    ),
    "types that do not compare": (
        '@ > `"a"`',
        b"5",
        "'>' not supported between instances of 'int' and 'str'",
    ),
    "error of Python itself": (
        "ceil(to_number('1e999'))",
        b"{}",
        "cannot convert float infinity to integer",
    ),
}


@pytest.mark.parametrize(("expression", "body", "text"), NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_a_value_that_is_no_number_is_a_problem_of_its_metric_alone(
    expression: str, body: bytes, text: str
) -> None:
    sample = sampled(body, metrics={"Good": "`1`", "Bad": expression, "Good too": "`2`"})
    assert sample.problems == [f"metrics.Bad: {text}"]
    assert values(sample) == {("Good",): 1.0, ("Good too",): 2.0}


def test_a_number_beyond_all_spoils_the_answer() -> None:
    source = open_source(session_with(Transport(Reply(200, b'{"depth": 1e999}'))))
    assert failure(source) == f"{URL}: not JSON: Number out of range - at `$[...]`"


@pytest.mark.parametrize("value", [0, -1, 1.5, 1e308, -0.0, 2**64])
def test_any_finite_number_is_a_value(value: float) -> None:
    assert values(sampled({"depth": value})) == {("Depth",): value}


NO_DIMENSIONS: dict[str, tuple[str, Any, str]] = {
    "missing": ("name", {}, "null is not text of 1 to 256 characters"),
    "null": ("name", {"name": None}, "null is not text of 1 to 256 characters"),
    "empty": ("name", {"name": ""}, "'' is not text of 1 to 256 characters"),
    "long": ("name", {"name": "x" * 257}, f"'{'x' * 80}'… is not text of 1 to 256 characters"),
    "array": ("name", {"name": ["a"]}, "an array is not text of 1 to 256 characters"),
    "object": ("name", {"name": {}}, "an object is not text of 1 to 256 characters"),
    "a function on the wrong type": (
        "join('-', name)",
        {"name": 5},
        (
            "In function join(), invalid type for value: 5, expected one of: "
            "['array-string'], received: \"number\""
        ),
    ),
}


@pytest.mark.parametrize(("expression", "item", "text"), NO_DIMENSIONS.values(), ids=NO_DIMENSIONS)
def test_an_item_without_its_dimensions_is_left_out_alone(
    expression: str, item: dict[str, Any], text: str
) -> None:
    good = {"name": ["b"] if "join" in expression else "b", "depth": 2}
    sample = sampled([{**item, "depth": 1}, good], items="@", itemDimensions={"Name": expression})
    assert sample.problems == [f"itemDimensions.Name: {text}"]
    assert values(sample, "Name") == {("b", "Depth"): 2.0}


NO_LIST: dict[str, tuple[Any, str]] = {
    "missing": ({}, "null"),
    "object": ({"value": {"a": 1}}, "an object"),
    "text": ({"value": "abc"}, "'abc'"),
    "number": ({"value": 5}, "5"),
    "true": ({"value": True}, "true"),
}


@pytest.mark.parametrize(("document", "found"), NO_LIST.values(), ids=NO_LIST)
def test_items_that_are_no_list_are_said(document: Any, found: str) -> None:
    source = open_source(session_with(Transport(Reply(200, json.dumps(document)))), items="value")
    assert failure(source) == f"items: found {found}, expected a list"


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["depth", "name", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(ITEMS)
def test_whatever_comes_is_points_or_problems(document: Any) -> None:
    body = json.dumps(document)
    source = open_source(
        session_with(Transport(Reply(200, body))),
        items="value",
        metrics={"Depth": "depth", "Length": "length(name)"},
        itemDimensions={"Name": "name"},
    )
    sample = take(source, NOW)
    assert all(abs(point.sum) < float("inf") for point in sample.points)
    assert sample.points or sample.errors or document == {**document, "value": []}


EXPRESSIONS = st.text("abc.[]{}()|&!'\"`*@?,:-<=>0123 \\", min_size=1, max_size=30)


@given(EXPRESSIONS)
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:jmespath")
def test_an_expression_compiles_or_is_refused(expression: str) -> None:
    context = make_context(session=session_with(Transport(Reply(200, "{}"))))
    sources, problems = load_sources(json.dumps([entry(metrics={"Depth": expression})]), context)
    assert len(sources) + len(problems) == 1
    for problem in problems:
        assert problem.startswith(f"{WHERE}.metrics.Depth: ")
        assert "\n" not in problem


# --- Requests -------------------------------------------------------------------------------------


def test_anonymous_unless_there_is_an_audience(session: requests.Session) -> None:
    with serving(lambda _: said({"depth": 1})) as server:
        for members in ({}, {"audience": "https://a/"}, {"audience": "https://b/"}):
            take(open_source(session, url=server.url, **members), NOW)
    sent = [asked.headers.get("Authorization") for asked in server.asked]
    assert sent == [None, "Bearer for-https://a/-0", "Bearer for-https://b/-0"]


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_a_refusal_is_in_its_own_words_and_without_the_query(status: int) -> None:
    body = json.dumps({"error": {"code": "Nope", "message": "Not for you."}})
    source = open_source(session_with(Transport(Reply(status, body))), url=f"{URL}?code=secret")
    assert failure(source) == f"{URL}: {status} Nope Not for you."


def test_a_redirect_is_not_followed(session: requests.Session) -> None:
    with serving(lambda _: said({"depth": 1})) as stranger:
        moved = Said(302, b"", {"Location": stranger.url})
        with serving(lambda _: moved) as server:
            source = open_source(session, url=server.url, audience="https://a/")
            assert failure(source) == f"{server.url}: 302"
        assert stranger.asked == []


def test_pages_in_a_circle_are_left(session: requests.Session) -> None:
    def answer(asked: Asked) -> Said:
        return said({"depth": 1, "nextLink": "/b" if asked.path == "/a" else "/a"})

    with serving(answer) as server:
        source = open_source(session, url=f"{server.url}/a")
        assert failure(source) == f"{server.url}/b: the pages go round in a circle"
        assert server.targets == ["/a", "/b"]


def test_pages_before_one_that_fails_are_kept(session: requests.Session) -> None:
    pages = {"/a": said({"depth": 1, "nextLink": "/b"}), "/b": Said(500)}
    with serving(routes(pages)) as server:
        sample = take(open_source(session, url=f"{server.url}/a"), NOW)
        assert [point.sum for point in sample.points] == [1.0]
        assert sample.problems == [f"{server.url}/b: 500"]


def test_the_token_does_not_go_to_another_host(session: requests.Session) -> None:
    with serving(lambda _: said({"depth": 1})) as stranger:
        page = said({"depth": 1, "nextLink": f"{stranger.url}/next"})
        with serving(lambda _: page) as server:
            source = open_source(session, url=server.url, audience="https://a/")
            assert "the next page is on another host" in failure(source)
        assert stranger.asked == []


def test_a_host_has_a_gate_of_its_own() -> None:
    opened: list[tuple[str, float]] = []

    def gate(name: str, per_second: float) -> Gate:
        opened.append((name, per_second))
        return open_gate()

    context = make_context(gate=gate)
    for url in (
        URL,
        "https://HOST.example:443/else?x",
        "https://host.example:8443/",
        "http://localhost:7071/",
    ):
        open_one(entry(url=url), context)
    assert opened == [
        ("host.example:443", 10.0),
        ("host.example:443", 10.0),
        ("host.example:8443", 10.0),
        ("localhost:7071", 10.0),
    ]
