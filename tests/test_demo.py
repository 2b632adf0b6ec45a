"""The demo as users start it: what it names at its end, and the traffic that goes on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local.processes import Child
from local.stack import ROOT

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


@pytest.mark.slow
def test_the_demo_goes_on_until_it_is_interrupted(eventually: Ask) -> None:
    with Child("demo", [sys.executable, "-m", "local.demo", "--keep"], cwd=ROOT) as demo:
        page = demo.wait_for(r"live traffic until Ctrl-C:\s+(http://\S+)", timeout=120)[1]
        assert "make demo KEEP=1" in demo.output
        chosen = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        assert requests.get(page, timeout=30).text.startswith("<!doctype html>")

        def countries() -> set[str]:
            query = {
                "resourceId": chosen["resource"],
                "metricnamespace": chosen["namespace"],
                "metricnames": chosen["metric"],
                "$filter": f"{chosen['split']} eq '*'",
            }
            url = page.partition("?")[0] + "_local/query"
            answer = requests.get(url, params=query, timeout=30).json()
            if "value" not in answer:
                return set()
            return {each["metadatavalues"][0]["value"] for each in answer["value"][0]["timeseries"]}

        assert eventually(countries, bool) == {"NL", "BE", "DE", "FR"}
        demo.signal(signal.SIGINT)
        assert demo.wait() == 0
        assert demo.output.endswith("Stopped.")
