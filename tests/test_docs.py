"""What the documentation says of settings and host.json is what the code and the file have."""

from __future__ import annotations

import json
import re

from local.stack import ROOT
from shared.model import Reason
from shared.settings import DEFAULTS, Settings

SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(?P<name>\w+)` \|(?P<meaning>.*)\|(?P<default>[^|]*)\|$", re.MULTILINE)


def test_every_default_stands_in_the_table_of_settings() -> None:
    rows = {row["name"]: row["default"].strip() for row in ROW.finditer(SETTINGS)}
    documented = {name: rows.get(name) for name in DEFAULTS}
    assert documented == {name: f"`{default}`" for name, default in DEFAULTS.items()}


def test_every_setting_of_the_table_is_one_that_the_code_knows() -> None:
    source = (ROOT / "shared" / "settings.py").read_text(encoding="utf-8")
    source += (ROOT / "function_app.py").read_text(encoding="utf-8")
    source += (ROOT / "shared" / "connections.py").read_text(encoding="utf-8")
    for row in ROW.finditer(SETTINGS):
        name = row["name"].replace("MetricsStorage__", "{name}__")
        assert name in source, name


def test_the_sample_says_nothing_that_is_the_default_anyway() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_bytes())["Values"]
    Settings.from_env(sample)
    kept = {name: text for name, text in sample.items() if DEFAULTS.get(name) == text}
    assert set(kept) <= {"METRICS_SOURCES"}  # There to be filled in.


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
