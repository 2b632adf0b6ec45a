"""The demo as users start it: what it names at its end, and the traffic that goes on."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local import demo
from local.processes import Child
from local.stack import INGRESS, ROOT, Backend, run_backend

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


WAITING = [sys.executable, "-c", "print('working', flush=True); import signal; signal.pause()"]


def test_the_demo_notices_that_the_emulator_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with run_backend() as backend, Child("Functions host", WAITING) as host:
        backend.storage.create_queue(INGRESS)
        assert backend.monitor is not None
        backend.monitor.kill()
        assert demo._keep(backend, host) == 1
        assert host.status is None
    said = capsys.readouterr()
    assert said.err.startswith("The Azure Monitor emulator ended with status -9")
    assert "Traceback" not in said.err


def test_the_demo_notices_that_the_host_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with run_backend() as backend, Child("Functions host", WAITING) as host:
        backend.storage.create_queue(INGRESS)
        host.wait_for("working")
        host.kill()
        assert demo._keep(backend, host) == 1
    assert capsys.readouterr().err == (
        "The Functions host ended with status -9; its last words:\nworking\n"
    )


def test_the_demo_may_be_interrupted_as_soon_as_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with run_backend() as backend, Child("Functions host", WAITING) as host:
        monkeypatch.setattr(demo, "Traffic", interrupted)
        assert demo._keep(backend, host) == 0
    said = capsys.readouterr()
    assert "live traffic until Ctrl-C" in said.out
    assert said.err == "\nStopped.\n"


@contextmanager
def without_emulator() -> Iterator[Backend]:
    """A backend whose emulator has just died."""
    with run_backend() as backend:
        assert backend.monitor is not None
        backend.monitor.kill()
        yield backend


def test_what_does_not_answer_is_said_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "run_backend", without_emulator)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert demo.main([]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Azurite or the Azure Monitor emulator does not answer: ")
