"""docs/settings.md names every setting, with the defaults, limits and examples of the code."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pytest
from cronsim import CronSim

from local.stack import ROOT
from shared.clients.credentials import CREDENTIALS
from shared.errors import ConfigurationError
from shared.settings import DEFAULTS, Settings
from tests.unit.rollups import NOW, RESOURCE


class Row(NamedTuple):
    """A row of one of the tables."""

    name: str
    meaning: str
    default: str
    limits: str
    example: str


PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
CELLS = [re.split(r" ?\| ?", line)[1:-1] for line in PAGE.splitlines() if line.startswith("| `")]
ROWS = {row.name: row for row in (Row(name.strip("`"), *cells) for name, *cells in CELLS)}
SAMPLE = json.loads((ROOT / "local.settings.sample.json").read_bytes())["Values"]
# The platform sets these.
OF_THE_PLATFORM = {
    "WEBSITE_OWNER_NAME",
    "WEBSITE_RESOURCE_GROUP",
    "WEBSITE_SITE_NAME",
    "REGION_NAME",
}
# Only the host reads these.
OF_THE_HOST = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}
NUMBERS = {
    name: [int(text.replace(",", "")) for text in found.groups()]
    for name, row in ROWS.items()
    if (found := re.fullmatch(r"([\d,]+) to ([\d,]+)", row.limits))
}


def read(*names: str) -> str:
    return "".join((ROOT / name).read_text(encoding="utf-8") for name in names)


def test_every_setting_of_the_code_is_on_the_page_and_no_other() -> None:
    code = read("shared/settings.py", "function_app.py")
    asked = set(re.findall(r'"%?([A-Z]+(?:_[A-Z]+)+)%?"', code))
    asked |= {"MetricsStorage"}
    assert asked >= OF_THE_PLATFORM
    assert asked - OF_THE_PLATFORM <= ROWS.keys()
    everything = code + read("shared/clients/connections.py", "host.json")
    for name in ROWS.keys() - OF_THE_HOST:
        assert name.removeprefix("MetricsStorage__") in everything, name


@pytest.mark.parametrize("name", ROWS)
def test_the_default_is_that_of_the_code(name: str) -> None:
    host = json.loads(read("host.json"))["extensions"]["queues"]
    of_host = {f"AzureFunctionsJobHost__extensions__queues__{one}": host[one] for one in host}
    defaults = {**of_host, **DEFAULTS}
    if name in defaults:
        assert ROWS[name].default == f"`{defaults[name]}`"
    else:
        assert not re.fullmatch("`[^<>]+`", ROWS[name].default)


def test_limits_are_numbers_where_the_code_has_numbers() -> None:
    assert {name for name, text in DEFAULTS.items() if text.isdecimal()} == NUMBERS.keys()


@pytest.mark.parametrize("name", NUMBERS)
def test_the_limits_are_those_of_the_code(name: str) -> None:
    least, most = NUMBERS[name]
    for number in (least, most):
        Settings.from_env({**SAMPLE, name: str(number)})
    for number in (least - 1, most + 1):
        with pytest.raises(ConfigurationError, match=name):
            Settings.from_env({**SAMPLE, name: str(number)})


@pytest.mark.parametrize("name", ROWS)
def test_the_example_is_valid_and_is_not_the_default(name: str) -> None:
    example = ROWS[name].example.strip("`")
    given = {"METRICS_SOURCES": "[]", "METRICS_RESOURCE_ID": RESOURCE}.get(name, example)
    environ = {**SAMPLE, name: given.replace("…", "1")}
    if name.startswith("MetricsStorage_"):
        del environ["MetricsStorage"]
        environ.setdefault("MetricsStorage__accountName", "metricrelay")
    Settings.from_env(environ)
    assert example != DEFAULTS.get(name)


def test_the_example_of_a_schedule_is_valid() -> None:
    seconds, _, cron = ROWS["METRICS_SAMPLE_SCHEDULE"].example.strip("`").partition(" ")
    assert seconds == "0"
    assert next(CronSim(cron, NOW)).second == 0


def test_every_credential_is_named() -> None:
    limits = ROWS["METRICS_CREDENTIAL"].limits
    assert set(re.findall(r"`([a-z_]+)`[;:]", limits)) == set(CREDENTIALS)


def test_the_sample_repeats_no_default() -> None:
    Settings.from_env(SAMPLE)
    kept = {name for name, text in SAMPLE.items() if DEFAULTS.get(name) == text}
    assert kept <= {"METRICS_SOURCES"}  # It is there to be filled in.
