"""What the documentation says of host.json and of dead letters is what is there."""

from __future__ import annotations

import json
import re

from local.stack import ROOT
from shared.model import Reason


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
