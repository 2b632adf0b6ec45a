"""Checks of the JSON blocks: messages, sources, dead letters, findings and settings."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import jsonschema

from shared.messages.validation import Defaults
from shared.model import Origin, Rollup
from shared.pipeline.dead_letters import write_dead_letters
from shared.settings import Settings
from shared.sources import load_sources
from tests.docs.schemas import message_schema, sources_schema
from tests.unit.builders import message, parse
from tests.unit.rollups import NOW, RESOURCE
from tests.unit.sources.helpers import make_context
from tools.doctor.checks import CHECKS
from tools.doctor.findings import Finding, Status

__all__ = ["check_json", "check_message"]


def check_json(text: str) -> None:
    """Check a message, sources, a dead letter, findings or settings. Raises AssertionError."""
    document = json.loads(text)
    first = document[0] if isinstance(document, list) else document
    if "kind" in first:
        _check_sources(document if isinstance(document, list) else [document])
    elif {"points", "data"} & first.keys():
        check_message(text)
    elif "refused" in first:
        _check_dead_letter(first)
    elif "status" in first:
        _check_findings(document)
    elif "Values" in first:
        Settings.from_env(first["Values"])
    else:
        raise AssertionError("unknown kind of JSON")


def check_message(text: str) -> list[Rollup]:
    """Check a message with the schema and the parser; return its roll-ups."""
    jsonschema.validate(json.loads(text), message_schema())
    parsed = parse(text, defaults=Defaults("QueueProcessing", RESOURCE))
    assert [rejection.detail for rejection in parsed.rejections] == []
    assert parsed.rollups
    return parsed.rollups


def _check_sources(entries: list[Any]) -> None:
    jsonschema.validate(entries, sources_schema())
    sources, problems = load_sources(json.dumps(entries), make_context())
    assert problems == []
    assert len(sources) == len(entries)


def _check_findings(findings: list[dict[str, Any]]) -> None:
    """Check the names and members of findings of the doctor."""
    for one in findings:
        assert one["check"] in CHECKS
        found = Finding(one["check"], Status(one["status"]), one["message"], tuple(one["fix"]))
        assert one.keys() == asdict(found).keys()


def _check_dead_letter(shown: dict[str, Any]) -> None:
    """Compare with a dead letter of the code, except for times and IDs."""
    points = [{"metric": "Orders", "value": 7}] * 3
    eleven = {f"d{number}": "x" for number in range(11)}
    body = message(*points, {"metric": "Orders", "value": 7, "dimensions": eleven})
    rejections = parse(body).rejections
    (letter,) = write_dead_letters(rejections, Origin("0d2ba5c4", NOW), NOW)
    real = json.loads(letter)
    assert shown.keys() == real.keys()
    assert shown["reason"] == real["reason"]
    assert shown["detail"] == real["detail"]
    (refused,), (expected,) = shown["refused"], real["refused"]
    assert refused["detail"] == expected["detail"]
    assert refused["message"].keys() == expected["message"].keys()
