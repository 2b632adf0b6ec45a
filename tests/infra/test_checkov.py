"""What `make infra-check` looks at is all there is, and what it skips has a reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

from .arm import template, write
from .bicep import INFRA, TEMPLATES, File

CONFIG = (INFRA / ".checkov.yaml").read_text(encoding="utf-8")


def test_every_resource_is_looked_at(tmp_path: Path) -> None:
    resources = [one for path in TEMPLATES for one in File.read(path).of("resource").values()]
    count = write(tmp_path)
    assert count == len([one for one in resources if not one.existing])
    written = [json.loads(path.read_bytes())["resources"] for path in tmp_path.iterdir()]
    # With the one that is written in JSON.
    assert sum(map(len, written)) == count + 1


def test_a_resource_is_as_it_is_written() -> None:
    text = """
    resource a 'Microsoft.Storage/storageAccounts@2023-05-01' = if (wanted) {
      name: name
      properties: {
        supportsHttpsTrafficOnly: true
        list: ['x', 1]
      }

      resource b 'queueServices' = {
        name: 'default'
      }
    }

    resource c 'Microsoft.Web/sites@2024-04-01' existing = {
      name: 'c'
    }
    """
    account = {
        "type": "Microsoft.Storage/storageAccounts",
        "apiVersion": "2023-05-01",
        "name": "[name]",
        "properties": {"supportsHttpsTrafficOnly": True, "list": ["x", 1]},
    }
    queues = {
        "type": "Microsoft.Storage/storageAccounts/queueServices",
        "apiVersion": "2023-05-01",
        "name": "[name]/default",
    }
    assert template(File(text))["resources"] == [account, queues]


def test_what_is_skipped_has_its_reason() -> None:
    skipped = CONFIG.split("skip-check:\n")[1].splitlines()
    assert re.fullmatch(r"  # .+", skipped[0])
    for line in skipped:
        assert re.fullmatch(r"  # .+|  - CKV_AZURE_[0-9]+ # .+\.", line), line
