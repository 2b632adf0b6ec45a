"""What the documentation says of host.json, dead letters, sources and versions is what is there."""

from __future__ import annotations

import json
import re
import tomllib

from local.stack import ROOT
from shared.model import Reason
from shared.sources import KINDS


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
        assert "**An alert to begin with:**" in page


def test_the_version_is_the_newest_of_the_changelog() -> None:
    """Unless none was released."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *released = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert first == "Unreleased"
    assert not released or released[0].strip("[]") == project["version"]


def test_every_program_that_measures_is_there() -> None:
    pages = [(ROOT / "docs" / name).read_text("utf-8") for name in ("design.md", "performance.md")]
    named = set(re.findall(r"python -m bench\.(\w+)|^\| `(\w+)` \|", "".join(pages), re.MULTILINE))
    there = {
        path.stem for path in (ROOT / "bench").glob("[!_]*.py") if "def main" in path.read_text()
    }
    assert {one or other for one, other in named} == there
