"""The types of METRICS_SOURCES in Bicep are those that the code decodes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.sources import KINDS
from tests.docs.schemas import sources_schema

from .bicep import INFRA, Declaration, File

TYPES = File.read(INFRA / "sources.bicep").of("type")
SCHEMA = sources_schema()["$defs"]


def of_kind(kind: str) -> tuple[Declaration, dict[str, Any]]:
    """The type in Bicep and the schema of a kind of source."""
    (schema,) = (one for one in SCHEMA.values() if one["properties"].get("kind") == {"const": kind})
    found = [
        one
        for one in TYPES.values()
        if any(member.name == "kind" and member.type == f"'{kind}'" for member in one.members)
    ]
    assert len(found) == 1, f"infra/sources.bicep has {len(found)} types of the kind {kind!r}"
    return found[0], schema


each = pytest.mark.parametrize("kind", KINDS)


def test_every_kind_is_in_the_union() -> None:
    source = TYPES["Source"]
    assert source.decorators["discriminator"] == "kind"
    assert set(source.type.split(" | ")) == {of_kind(kind)[0].name for kind in KINDS}


@each
def test_a_kind_has_the_members_that_are_decoded(kind: str) -> None:
    found, schema = of_kind(kind)
    assert {member.name for member in found.members} == set(schema["properties"])


@each
def test_what_is_required_is_required(kind: str) -> None:
    found, schema = of_kind(kind)
    required = {member.name for member in found.members if not member.is_optional}
    assert required == set(schema["required"])


def shape(schema: dict[str, Any]) -> str:
    """What a member of the schema is in Bicep."""
    if "anyOf" in schema and "type" not in schema:
        schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
    if "const" in schema:
        return f"'{schema['const']}'"
    match schema.get("type"):
        case "array" if "enum" in schema["items"]:
            return "QueueMetric[]"
        case "array":
            return "string[]"
        case "object":
            return "Names"
        case _:
            return "string"


@each
def test_a_member_has_its_type(kind: str) -> None:
    found, schema = of_kind(kind)
    assert {member.name: member.type.rstrip("?") for member in found.members} == {
        name: shape(one) for name, one in schema["properties"].items()
    }


def bounds(schema: dict[str, Any]) -> dict[str, int]:
    """The limits of a member that Bicep can say too."""
    if "anyOf" in schema and "type" not in schema:
        schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
    words = {"minLength": "minLength", "maxLength": "maxLength", "minItems": "minLength"}
    return {words[name]: value for name, value in schema.items() if name in words}


@each
def test_a_member_has_its_limits(kind: str) -> None:
    found, schema = of_kind(kind)
    for member in found.members:
        limits = {
            name: member.decorators[name]
            for name in ("minLength", "maxLength")
            if name in member.decorators
        }
        assert limits == bounds(schema["properties"][member.name]), member.name


def test_the_metrics_of_a_queue_are_those_that_there_are() -> None:
    names = SCHEMA["StorageQueueConfig"]["properties"]["metrics"]["items"]["enum"]
    assert re.findall(r"'(\w+)'", TYPES["QueueMetric"].type) == names


def own_sources() -> list[dict[str, str]]:
    """The sources of the relay's own queues: the members of each, as they are written."""
    text = File.read(INFRA / "settings.bicep").of("var")["ownSources"].value
    assert text.startswith("sampleOwnQueues\n  ? [")
    return [
        dict(re.findall(r"^ +(\w+): (.+)$", one, re.MULTILINE))
        for one in re.findall(r"\{(.+?)\}", text, re.DOTALL)
    ]


def test_the_relay_samples_its_own_queues_with_sources_that_are_decoded() -> None:
    schema = SCHEMA["StorageQueueConfig"]
    assert len(own_sources()) == 2
    for one in own_sources():
        assert set(schema["required"]) <= one.keys() <= set(schema["properties"])
        assert (one["resourceId"], one["account"]) == ("storage.id", "endpoints.queue")


def test_the_age_of_dead_letters_which_nobody_takes_is_not_published() -> None:
    ingress, dead_letters = own_sources()
    assert (ingress["queues"], "metrics" in ingress) == ("[queueName]", False)
    assert (dead_letters["queues"], dead_letters["metrics"]) == (
        "[deadLetterQueueName]",
        "['QueueDepth']",
    )
