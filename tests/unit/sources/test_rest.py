"""REST sources: what JMESPath finds, what is a number, and requests."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from shared.model import Series
from shared.sources import Source, load_sources
from shared.sources.sampler import Sample
from tests.unit.rollups import NOW, REGION, RESOURCE
from tests.unit.sources.helpers import RecordingLimiters, make_context, open_source, take, values
from tests.unit.stubs import Response, StubTransport, session_with

URL = "https://host.example/stats"


def entry(**members: Any) -> dict[str, Any]:
    common = {"kind": "rest", "resourceId": RESOURCE, "region": REGION}
    return {**common, "url": URL, "metrics": {"Depth": "depth"}, **members}


def source_of(session: requests.Session, **members: Any) -> Source:
    return open_source(entry(**members), make_context(session=session))


def sample_of(document: Any, **members: Any) -> Sample:
    """Return a sample of a document; bytes are sent as they are."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return take(source_of(session_with(StubTransport(Response(200, body))), **members))


# --- Values ---------------------------------------------------------------------------------------


def test_the_whole_response_is_one_item_by_default() -> None:
    sample = sample_of(
        {"depth": 7, "age": {"seconds": 1.5}},
        metrics={"Depth": "depth", "Age": "age.seconds"},
        dimensions={"Team": "shop"},
    )
    team = (("Team", "shop"),)
    assert list(sample.rollup.minutes.values()) == [
        {
            Series.of("QueueProcessing", "Depth", team): [7.0],
            Series.of("QueueProcessing", "Age", team): [1.5],
        }
    ]
    assert sample.errors == []


def test_items_have_dimensions() -> None:
    sample = sample_of(
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
    assert sample.errors == []
    assert values(sample, "Name", "Healthy", "Shard", "Team") == {
        ("a", "true", "3", "shop", "Depth"): 1.0,
        ("b", "false", "4.5", "shop", "Depth"): 2.0,
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [("1", "1"), ("1.0", "1"), ("1e2", "100"), ("-0.0", "0"), ("2.50", "2.5"), ("true", "true")],
)
def test_a_whole_number_is_one_dimension_however_it_is_written(number: str, text: str) -> None:
    sample = sample_of(
        {"n": 1, "shard": json.loads(number)},
        metrics={"Depth": "n"},
        itemDimensions={"Shard": "shard"},
    )
    assert values(sample, "Shard") == {(text, "Depth"): 1.0}


def test_half_of_a_surrogate_pair_loses_only_its_item() -> None:
    sample = sample_of(
        rb'[{"n": 1, "name": "cut \ud83d"}, {"n": 2, "name": "good"}, {"n": NaN, "name": "odd"}]',
        items="@",
        metrics={"Depth": "n"},
        itemDimensions={"Name": "name"},
    )
    assert values(sample, "Name") == {("good", "Depth"): 2.0}
    texts = [str(error) for error in sample.errors]
    assert any(r"itemDimensions.Name: 'cut \ud83d' contains half" in text for text in texts)
    assert any("metrics.Depth of Name='odd': nan is not a finite double" in text for text in texts)


def test_expressions_are_those_of_az_query() -> None:
    sample = sample_of(
        {"vms": [{"state": "up", "n": 1}, {"state": "down", "n": 2}, {"state": "up", "n": 4}]},
        metrics={
            "Up": "length(vms[?state=='up'])",
            "Sum": "sum(vms[?state=='up'].n)",
            "Text": "to_number('12.5')",
        },
    )
    assert values(sample) == {("Up",): 2, ("Sum",): 5, ("Text",): 12.5}


@pytest.mark.parametrize("value", [0, -1, 1.5, 1e308, -0.0, 2**64])
def test_any_finite_number_is_a_value(value: float) -> None:
    assert values(sample_of({"depth": value})) == {("Depth",): value}


INFINITE = "is not a finite double"
TEXT = "is not a number; to_number(…) converts text"
FUNCTION = "In function {}(), invalid type for value: {}, expected one of: {}, received: "
NOT_A_NUMBER: dict[str, tuple[str, Any, str]] = {
    # Expression, response, text.
    "missing": ("depth", {}, "null is not a number"),
    "text": ("depth", {"depth": "7"}, f"'7' {TEXT}"),
    "long text": ("depth", {"depth": "x" * 999}, f"'{'x' * 80}'… {TEXT}"),
    "two lines": ("depth", {"depth": "a\nb"}, f"'a\\nb' {TEXT}"),
    "true": ("depth", {"depth": True}, "true is not a number"),
    "array": ("depth", {"depth": [1]}, "an array is not a number"),
    "object": ("depth", {"depth": {"n": 1}}, "an object is not a number"),
    "infinity": ("to_number('-1e999')", {}, f"-inf {INFINITE}"),
    "NaN": ("to_number('nan')", {}, f"nan {INFINITE}"),
    "infinite sum": ("sum(n)", {"n": [1e308, 1e308]}, f"inf {INFINITE}"),
    "long integer": ("depth", b'{"depth": 1' + b"0" * 400 + b"}", f"1{'0' * 79}… {INFINITE}"),
    "wrong type for a function": (
        "length(depth)",
        {"depth": 7},
        f'{FUNCTION.format("length", 7, ["string", "array", "object"])}"number"',
    ),
    "types that do not compare": (
        '@ > `"a"`',
        5,
        "'>' not supported between instances of 'int' and 'str'",
    ),
    "error of Python": (
        "ceil(to_number('1e999'))",
        {},
        "cannot convert float infinity to integer",
    ),
}


@pytest.mark.parametrize(
    ("expression", "document", "text"), NOT_A_NUMBER.values(), ids=NOT_A_NUMBER
)
def test_a_value_that_is_not_a_number_is_an_error_of_its_metric(
    expression: str, document: Any, text: str
) -> None:
    sample = sample_of(document, metrics={"A": "`1`", "Bad": expression, "B": "`2`"})
    assert sample.errors == [f"metrics.Bad: {text}"]
    assert values(sample) == {("A",): 1.0, ("B",): 2.0}


def test_an_error_of_a_metric_names_the_dimensions_of_its_item() -> None:
    names = [{"name": "pear", "shelf": 3, "n": "n/a"}, {"name": "plum", "shelf": 3, "n": 1}]
    dimensions = {"Article": "name", "Shelf": "shelf"}
    sample = sample_of(names, items="@", metrics={"Stock": "n"}, itemDimensions=dimensions)
    assert sample.errors == [f"metrics.Stock of Article='pear', Shelf='3': 'n/a' {TEXT}"]


NOT_TEXT = "is not text of 1 to 256 characters"
NOT_A_DIMENSION: dict[str, tuple[str, Any, str]] = {
    "missing": ("name", {}, f"null {NOT_TEXT}"),
    "empty": ("name", {"name": ""}, f"'' {NOT_TEXT}"),
    "long": ("name", {"name": "x" * 257}, f"'{'x' * 80}'… {NOT_TEXT}"),
    "array": ("name", {"name": ["a"]}, f"an array {NOT_TEXT}"),
    "wrong type for a function": (
        "join('-', name || `[\"b\"]`)",
        {"name": 5},
        f'{FUNCTION.format("join", 5, ["array-string"])}"number"',
    ),
}


@pytest.mark.parametrize(
    ("expression", "item", "text"), NOT_A_DIMENSION.values(), ids=NOT_A_DIMENSION
)
def test_an_item_with_an_invalid_dimension_is_left_out(
    expression: str, item: dict[str, Any], text: str
) -> None:
    valid = {"name": "" if "join" in expression else "b", "depth": 2}
    sample = sample_of([{**item, "depth": 1}, valid], items="@", itemDimensions={"N": expression})
    assert sample.errors == [f"itemDimensions.N: {text}"]
    assert values(sample, "N") == {("b", "Depth"): 2.0}


@pytest.mark.parametrize(
    ("document", "found"),
    [({}, "null"), ({"value": {}}, "an object"), ({"value": "abc"}, "'abc'"), ({"value": 5}, "5")],
)
def test_items_must_be_a_list(document: Any, found: str) -> None:
    sample = sample_of(document, items="value")
    assert sample.errors == [f"items: found {found}, expected a list"]


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["depth", "name", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(DOCUMENTS)
def test_any_response_is_points_or_errors(document: Any) -> None:
    sample = sample_of(
        document,
        items="value",
        metrics={"Depth": "depth", "Length": "length(name)"},
        itemDimensions={"Name": "name"},
    )
    sets = [one for group in sample.rollup.aggregate().values() for one in group.values()]
    assert all(abs(one.sum) < float("inf") for one in sets)
    assert sample.points or sample.errors or document == {**document, "value": []}


@given(st.text("abc.[]{}()|&!'\"`*@?,:-<=>0123 \\", min_size=1, max_size=30))
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning:jmespath")
def test_any_expression_compiles_or_is_an_error(expression: str) -> None:
    context = make_context(session=session_with(StubTransport(Response(200, b"{}"))))
    text = json.dumps([entry(metrics={"Depth": expression})])
    sources, errors = load_sources(text, context)
    assert len(sources) + len(errors) == 1
    for error in errors:
        assert error.startswith("METRICS_SOURCES[0].metrics.Depth: ")
        assert "\n" not in error


# --- Requests -------------------------------------------------------------------------------------


def test_pages_are_followed_and_kept_if_a_later_one_fails() -> None:
    transport = StubTransport(
        Response(200, b'[{"depth": 1}, {"links": {"next": "/2"}}]'), Response(500)
    )
    source = source_of(session_with(transport), items="[?depth]", nextLink="[-1].links.next")
    sample = take(source)
    assert values(sample) == {("Depth",): 1.0}
    assert sample.errors == ["https://host.example/2: 500"]


def test_an_error_has_no_query_string() -> None:
    session = session_with(StubTransport(Response(403, b'{"error":{"code":"A","message":"B"}}')))
    assert take(source_of(session, url=f"{URL}?code=secret")).errors == [f"{URL}: 403 A B"]


def test_a_request_has_a_token_if_there_is_an_audience() -> None:
    transport = StubTransport(Response(200, b'{"depth": 1}'))
    for members in ({}, {"audience": "https://a/"}):
        take(source_of(session_with(transport), **members), NOW)
    sent = [request.headers.get("Authorization") for request in transport.requests]
    assert sent == [None, "Bearer for-https://a/-0"]


def test_each_host_has_its_rate_limiter() -> None:
    limiters = RecordingLimiters()
    context = make_context(rate_limiter=limiters)
    for url in (URL, "https://HOST.example:443/x?y", "https://a:8443/", "http://localhost:7071/"):
        open_source(entry(url=url), context)
    hosts = ["host.example:443", "host.example:443", "a:8443", "localhost:7071"]
    assert limiters.made == [(host, 10.0) for host in hosts]
