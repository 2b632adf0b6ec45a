"""The commands of docs/emulator.md, run as they stand there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.monitor import limits
from local.monitor.time_grain import GRAINS

from .client import document, series

if TYPE_CHECKING:
    from .client import Client

TEXT = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_every_curl_command_does_what_it_says(client: Client) -> None:
    publish, read, fail = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)

    def run(*scripts: str) -> str:
        finished = subprocess.run(
            ["bash", "-euo", "pipefail"],  # noqa: S607
            input=f"EMULATOR={client.url}\n" + "\n".join(scripts),
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    assert run(publish) == '{"statusCode":200}'
    (value,) = client.values()
    assert (value["metric"], value["dimensions"], value["sum"]) == ("Orders", {"Country": "NL"}, 28)
    answer = json.loads(run(publish, read).removeprefix('{"statusCode":200}'))
    (series,) = answer["value"][0]["timeseries"]
    assert series["metadatavalues"][0]["value"] == "NL"
    assert series["data"][0]["total"] == 56
    assert '"retryAfter":5' in run(fail)
    assert client.values() == []


def test_the_python_of_the_text_prints_what_it_says(client: Client) -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    site = re.findall(r'^site = "(.*)"', script, re.MULTILINE)[0]
    entry = series("NL", sum=28)
    assert client.post(
        document(entry, metric="Orders", namespace="Shop", dimNames=["Country"]), resource=site
    ).ok
    finished = subprocess.run(
        [sys.executable, "-"],
        input=script.replace("http://127.0.0.1:8089", client.url),
        env={"PATH": "/usr/bin:/bin", "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    one, other = finished.stdout.splitlines()
    assert f"`{one}` and `{other}`" in TEXT


def test_the_numbers_are_those_of_the_code() -> None:
    assert ", ".join(GRAINS.values()).replace(", P1D", ", P1D and FULL") in TEXT
    assert f"{limits.KEPT_MINUTES // 60} hours, at most {limits.MAX_VALUES:,}" in TEXT
    assert f"| {limits.MAX_QUERY_VALUES:,} values of all its resources and metrics, gaps" in TEXT
    assert f"| the last {limits.LOGGED_REQUESTS:,} |" in TEXT
    assert f"up to {limits.MAX_BATCH_RESOURCES} resources" in TEXT
