"""docs/settings.md is current, complete, and says of limits and examples what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cronsim import CronSim

from local.stack import ROOT
from shared.clients.credentials import CREDENTIALS
from shared.errors import ConfigurationError
from shared.settings import DEFAULTS, Settings
from tests.unit.rollups import NOW, RESOURCE
from tools.settings_page import FILE, GROUPS, Setting, page, write

SETTINGS = {one.name: one for group in GROUPS for one in group.settings}
SAMPLE = json.loads((ROOT / "local.settings.sample.json").read_bytes())["Values"]
# What the platform tells the app, and what a service principal signs in with: nobody's decision,
# or said beside METRICS_CREDENTIAL.
NOT_DECIDED = {
    "WEBSITE_OWNER_NAME",
    "WEBSITE_RESOURCE_GROUP",
    "WEBSITE_SITE_NAME",
    "REGION_NAME",
}


def test_the_page_is_current(tmp_path: Path) -> None:
    write(tmp_path / "settings.md")
    assert FILE.read_text(encoding="utf-8") == page(), "run python -m tools.settings_page"
    assert (tmp_path / "settings.md").read_text(encoding="utf-8") == page()


def test_every_setting_that_the_code_asks_for_is_there() -> None:
    code = "".join(
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("shared/settings.py", "function_app.py")
    )
    asked = set(re.findall(r'"%?([A-Z]+(?:_[A-Z]+)+)%?"', code))
    assert asked >= NOT_DECIDED
    assert asked - NOT_DECIDED <= SETTINGS.keys()


def test_no_setting_is_there_that_nothing_reads() -> None:
    files = ("shared/settings.py", "shared/clients/connections.py", "function_app.py", "host.json")
    source = "".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    for name in SETTINGS.keys() - {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}:
        assert name.removeprefix("MetricsStorage__") in source, name


def test_a_setting_has_a_default_in_the_code_or_in_words() -> None:
    instead = {"MetricsStorage__queueServiceUri", "MetricsStorage__accountName"}
    for name, one in SETTINGS.items():
        assert (name in DEFAULTS) != bool(one.default) or name in instead, name


@pytest.mark.parametrize("name", [name for name, one in SETTINGS.items() if one.numbers])
def test_the_limits_are_those_of_the_code(name: str) -> None:
    numbers = SETTINGS[name].numbers
    assert numbers is not None
    for number in numbers:
        Settings.from_env({**SAMPLE, name: str(number)})
    for number in (numbers[0] - 1, numbers[1] + 1):
        with pytest.raises(ConfigurationError, match=name):
            Settings.from_env({**SAMPLE, name: str(number)})


@pytest.mark.parametrize("one", SETTINGS.values(), ids=lambda one: one.name)
def test_the_example_is_taken_and_is_not_the_default(one: Setting) -> None:
    given = {"METRICS_SOURCES": "[]", "METRICS_RESOURCE_ID": RESOURCE}.get(one.name, one.example)
    given = given.replace("…", "1")
    environ = {**SAMPLE, one.name: given}
    if one.name.startswith("MetricsStorage_"):
        del environ["MetricsStorage"]
        environ.setdefault("MetricsStorage__accountName", "metricrelay")
    Settings.from_env(environ)
    assert one.example != DEFAULTS.get(one.name)


def test_the_schedule_is_one() -> None:
    seconds, _, cron = SETTINGS["METRICS_SAMPLE_SCHEDULE"].example.partition(" ")
    assert seconds == "0"
    assert next(CronSim(cron, NOW)).second == 0


def test_every_credential_is_named() -> None:
    assert set(re.findall(r"`([a-z_]+)`[;:]", SETTINGS["METRICS_CREDENTIAL"].limits)) == set(
        CREDENTIALS
    )


def test_the_sample_says_nothing_that_is_the_default_anyway() -> None:
    Settings.from_env(SAMPLE)
    kept = {name: text for name, text in SAMPLE.items() if DEFAULTS.get(name) == text}
    assert set(kept) <= {"METRICS_SOURCES"}  # There to be filled in.
