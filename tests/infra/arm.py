"""Writes the resources of the templates as ARM templates, for checkov.

checkov's own parser of Bicep knows no typed arrays, no imports and no lambdas, and passes over a
file that it does not understand; of a resource it wants to see no more than what is written out.
`python -m tests.infra.arm FOLDER`, from the top folder.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from .bicep import INFRA, TEMPLATES, Declaration, Expression, File, name_of

__all__ = ["template", "write"]

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def template(file: File) -> dict[str, Any]:
    """An ARM template with the file's own resources; expressions stand in brackets, as they are."""
    return {
        "$schema": SCHEMA,
        "contentVersion": "1.0.0.0",
        "resources": [
            _resource(one) for one in file.all if one.kind == "resource" and not one.existing
        ],
    }


def write(folder: Path) -> int:
    """Write a template for each file that has resources; how many resources they have."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    count = 0
    for path in TEMPLATES:
        made = template(File.read(path))
        if made["resources"]:
            name = name_of(path).replace("/", "-").removesuffix(".bicep")
            (folder / f"{name}.json").write_text(json.dumps(made, indent=2), encoding="utf-8")
            count += len(made["resources"])
    for path in INFRA.rglob("on-*.json"):
        shutil.copy(path, folder)
    return count


def _resource(one: Declaration) -> dict[str, Any]:
    body = one.value[0] if isinstance(one.value, list) else one.value
    kind, version = _type(one)
    return {"type": kind, "apiVersion": version, **_plain(body), "name": _name(one)}


def _type(one: Declaration) -> tuple[str, str]:
    """Type and version; of a resource inside another they begin with the other's."""
    if one.parent is None:
        kind, _, version = one.type.partition("@")
        return kind, version
    kind, version = _type(one.parent)
    return f"{kind}/{one.type}", version


def _name(one: Declaration) -> str:
    body = one.value[0] if isinstance(one.value, list) else one.value
    name = str(_plain(body["name"]))
    return name if one.parent is None else f"{_name(one.parent)}/{name}"


def _plain(value: Any) -> Any:
    match value:
        case Expression():
            return f"[{value}]"
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list():
            return [_plain(one) for one in value]
        case _:
            return value


if __name__ == "__main__":
    print(f"{write(Path(sys.argv[1]))} resources for checkov")
