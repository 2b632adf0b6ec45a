"""The numbers of docs/emulator.md; its commands are run by tests/docs."""

from __future__ import annotations

from pathlib import Path

from local.monitor import limits
from local.monitor.time_grain import GRAINS

TEXT = (Path(__file__).parents[3] / "docs" / "emulator.md").read_text(encoding="utf-8")


def test_the_numbers_are_those_of_the_code() -> None:
    assert ", ".join(GRAINS.values()).replace(", P1D", ", P1D and FULL") in TEXT
    assert f"{limits.KEPT_MINUTES // 60} hours, at most {limits.MAX_VALUES:,}" in TEXT
    assert f"| {limits.MAX_QUERY_VALUES:,} values of all its resources and metrics, gaps" in TEXT
    assert f"| the last {limits.LOGGED_REQUESTS:,} |" in TEXT
    assert f"up to {limits.MAX_BATCH_RESOURCES} resources" in TEXT
