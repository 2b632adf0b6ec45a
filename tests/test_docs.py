"""The documentation of host.json, dead letters, sources, versions, limits and Python is current."""

from __future__ import annotations

import json
import re
import tomllib

from bench.__main__ import BENCHES
from local.stack import ROOT
from shared.clients import sessions
from shared.clients.json_client import JsonClient
from shared.model import Reason
from shared.pipeline import processor
from shared.publisher import batcher, circuit_breaker, client, responses
from shared.settings import DEFAULTS
from shared.sources import KINDS, sampler


def assert_on_page(name: str, *texts: str) -> None:
    """Assert that a page says each text, wherever its lines break."""
    page = (ROOT / "docs" / name).read_text(encoding="utf-8").replace("\n", " ")
    for text in texts:
        assert text in page, text


def test_every_value_of_host_json_is_explained() -> None:
    text = (ROOT / "docs" / "host.md").read_text(encoding="utf-8")
    queues = json.loads((ROOT / "host.json").read_bytes())["extensions"]["queues"]
    for name, value in queues.items():
        assert f"`{name}: {value}`" in text


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    text = (ROOT / "docs" / "messages.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text.split("| reason |")[1], re.MULTILINE)) == set(
        Reason
    )


def test_every_kind_of_source_has_a_page_and_is_listed() -> None:
    listed = (ROOT / "docs" / "sources" / "README.md").read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"| [`{kind}`]({kind}.md) |" in listed
        page = (ROOT / "docs" / "sources" / f"{kind}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# Source: {kind}\n")
        assert "**Recommended alert" in page


def test_the_version_is_the_newest_of_the_changelog() -> None:
    """Unless none was released."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *released = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert first == "Unreleased"
    assert not released or released[0].strip("[]") == project["version"]


def test_the_benches_of_the_documentation_are_those_that_are_there() -> None:
    page = (ROOT / "docs" / "performance.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(BENCHES)


def test_the_limits_of_scaling_are_those_of_the_app() -> None:
    queues = json.loads((ROOT / "host.json").read_bytes())["extensions"]["queues"]
    in_work = queues["batchSize"] + queues["newBatchThreshold"]
    max_bytes = int(DEFAULTS["METRICS_MAX_BODY_BYTES"])
    assert_on_page(
        "scaling.md",
        f"{in_work} messages",
        f"{circuit_breaker.MAX_POSTS_PER_REGION} POSTs at once to a region",
        f"{batcher.MAX_DELIVERY_POINTS:,} points, and {max_bytes:,}",
        f"{sampler.MAX_POINTS:,} points |",
        f"{int(DEFAULTS['METRICS_MAX_ACTIVE_SERIES']):,} of a subscription and region",
    )


def test_the_waits_and_limits_of_delivery_are_those_of_the_code() -> None:
    assert_on_page(
        "delivery.md",
        f"1, 2, 4, … up to {processor.MAX_BACKOFF:.0f} seconds",
        f"for up to {responses.RETRY_SECONDS:.0f} s, `Retry-After` obeyed",
        f"a cooldown of {responses.COOLDOWN:.0f} seconds",
        (
            f"of {responses.MIN_COOLDOWN:.0f} seconds or as long as `Retry-After` says, "
            f"at most {responses.MAX_COOLDOWN / 60:.0f} minutes"
        ),
        f"At most {circuit_breaker.MAX_POSTS_PER_REGION} requests at once",
        f"an answer for {circuit_breaker.MAX_SILENCE:.0f} seconds",
        f"After {circuit_breaker.MAX_TIMEOUTS} time-outs in a row",
        f"one request every {circuit_breaker.PROBE_INTERVAL:.0f} seconds",
    )


def test_the_sizes_of_answers_are_those_of_the_code() -> None:
    assert_on_page(
        "security.md",
        f"{client.MAX_ANSWER_BYTES // 1024} KiB from Azure Monitor",
        f"{JsonClient.max_bytes / 1e6:.0f} MB from a source",
        f"{sessions.MAX_RESPONSE_BYTES / 1e6:.0f} MB from storage",
        f"at most {JsonClient.max_pages} pages",
    )


# --- Versions of Python ---------------------------------------------------------------------------

VERSIONS = ["3.11", "3.12", "3.13", "3.14"]  # That Azure Functions runs.


def test_every_version_of_python_can_be_deployed_and_is_tested() -> None:
    types = " | ".join(f"'{version}'" for version in VERSIONS)
    for name in ("main.bicep", "app.bicep"):
        text = (ROOT / "infra" / name).read_text(encoding="utf-8")
        assert f"param pythonVersion {types} = " in text
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert f"python: {json.dumps(VERSIONS)}" in workflow
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    minors = " ".join(version.removeprefix("3.") for version in VERSIONS)
    assert f"MINORS := {minors}\n" in makefile
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == f">={VERSIONS[0]}"
    assert project["tool"]["mypy"]["python_version"] == VERSIONS[0]
