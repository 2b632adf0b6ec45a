"""`doctor` against Azurite and the emulator, each fault in turn: the link and the remedy it names.

The remedy is pasted into a shell, and the doctor called again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from doctor_faults import ALL_BUT_ROLES, FAULTS, Fault
from doctoring import Chain

from local.stack import Backend


@pytest.fixture
def chain(
    backend: Backend, queue: str, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Chain]:
    """A chain with nothing wrong with it, in a folder without settings."""
    monkeypatch.chdir(tmp_path)
    yield Chain.whole(backend, queue, site)
    backend.control("DELETE", "state")


def test_a_chain_that_is_whole_is_right_at_every_link(chain: Chain) -> None:
    visit = chain.visit("--probe")
    assert visit.code == 0
    assert visit.of("ok") == ALL_BUT_ROLES
    assert visit.of("skipped") == ["storage roles"]
    assert all(one["remedy"] == "" for one in visit.findings)
    (value,) = chain.backend.metrics(resourceId=chain.site)
    assert (value["namespace"], value["metric"]) == ("MetricRelayProbe", "Probe")


def test_nothing_is_published_without_being_asked_for(chain: Chain) -> None:
    assert chain.visit().of("skipped") == ["storage roles", "publish"]
    assert chain.backend.metrics(resourceId=chain.site) == []


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_by_its_link_and_its_remedy(chain: Chain, fault: Fault) -> None:
    filled = chain.filled
    if fault.prepare is not None:
        fault.prepare(chain)
    chain.env |= {name: value and filled(value) for name, value in fault.settings.items()}
    for method, path, body in fault.control:
        chain.backend.control(method, path, data=filled(json.dumps(body)))
    options = [filled(option) for option in fault.options]

    visit = chain.visit(*options)
    assert visit.of("failed") == ([fault.link] if fault.status == "failed" else [])
    assert visit.of("warning") == ([fault.link] if fault.status == "warning" else [])
    unasked = () if "--probe" in options else ("publish",)
    assert {*visit.of("skipped")} == {"storage roles", *fault.skipped, *unasked}
    assert visit.code == (1 if fault.status == "failed" else 0)
    told = visit.at(fault.link, fault.status)
    assert filled(fault.found) in told["found"]
    assert filled(fault.remedy) in told["remedy"] if fault.remedy else not told["remedy"]

    chain.apply(told["remedy"])
    if fault.mends:
        assert fault.link in chain.visit(*options).of("ok")
