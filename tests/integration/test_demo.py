"""`make demo KEEP=1`: the page that it names, its live traffic, and what may end it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from local import demo, demo_data
from local.processes import Child, ChildError
from local.stack import INGRESS, ROOT, Backend, run_backend

Eventually = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]


@pytest.mark.slow
def test_traffic_continues_until_ctrl_c(eventually: Eventually) -> None:
    with Child("demo", [sys.executable, "-m", "local.demo", "--keep"], cwd=ROOT) as demo:
        page = demo.wait_for(r"live traffic until Ctrl-C:\s+(http://\S+)", timeout=120)[1]
        assert "make demo KEEP=1" in demo.output
        selection = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        assert requests.get(page, timeout=30).text.startswith("<!doctype html>")

        def countries() -> set[str]:
            query = {"resourceId": selection["resource"], **selection}
            url = page.partition("?")[0] + "_local/query"
            answer = requests.get(url, params=query, timeout=30).json()
            metrics = answer.get("value", [{"timeseries": []}])
            return {one["metadatavalues"][0]["value"] for one in metrics[0]["timeseries"]}

        assert eventually(countries, bool) == {"NL", "BE", "DE", "FR"}
        demo.signal(signal.SIGINT)
        assert demo.wait() == 0
        assert demo.output.endswith("Stopped.")


WAITING = [sys.executable, "-c", "print('working', flush=True); import signal; signal.pause()"]


def test_dead_emulator_ends_the_demo() -> None:
    with run_backend() as backend, Child("Functions host", WAITING) as host:
        backend.storage.create_queue(INGRESS)
        assert backend.monitor is not None
        backend.monitor.kill()
        with pytest.raises(ChildError, match=r"^Azure Monitor emulator was ended by SIGKILL"):
            demo._keep(backend, host)
        assert host.status is None


def test_dead_host_ends_the_demo() -> None:
    with run_backend() as backend, Child("Functions host", WAITING) as host:
        backend.storage.create_queue(INGRESS)
        host.wait_for("working")
        host.kill()
        with pytest.raises(ChildError) as caught:
            demo._keep(backend, host)
    said = "Functions host was ended by SIGKILL; it printed:\nworking"
    assert str(caught.value) == said


def test_ctrl_c_before_the_first_message_stops_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with run_backend() as backend, Child("Functions host", WAITING) as host:
        monkeypatch.setattr(demo_data, "live_orders", interrupted)
        demo._keep(backend, host)
    output = capsys.readouterr()
    assert "live traffic until Ctrl-C" in output.out
    assert output.err == "\nStopped.\n"


def test_the_tables_fit_into_the_width(capsys: pytest.CaptureFixture[str]) -> None:
    values = [
        {
            "resourceId": f"/{resource}",
            "region": "northeurope",
            "namespace": "Shop",
            "metric": metric,
            "dimensions": dict(pair.split("=") for pair in dimensions.split(", ") if pair),
            **dict(zip(("min", "max", "sum", "count"), (250.5, 250.5, 7515, 1234), strict=True)),
        }
        for resource, metric, dimensions in demo_data.EXPECTED
    ]
    values.append({**values[10], "metric": "TransferDeadLetterMessages"})
    demo._show(values, [])
    rows = [line for line in capsys.readouterr().out.splitlines() if "250.5  250.5" in line]
    assert len(rows) == len(values)
    assert all(row.endswith("7515   1234") and len(row) <= demo.WIDTH for row in rows)


@contextmanager
def without_emulator() -> Iterator[Backend]:
    """A backend whose emulator has just died."""
    with run_backend() as backend:
        assert backend.monitor is not None
        backend.monitor.kill()
        yield backend


def test_backend_without_an_answer_is_one_sentence(
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
