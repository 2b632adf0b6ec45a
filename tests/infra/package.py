"""What `func azure functionapp publish` would send, and a check of it by itself.

As a program, in the environment of the package: `python package.py FOLDER` imports whatever the
package imports, indexes its functions, and prints them as JSON.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

__all__ = ["published"]

# What Core Tools leave behind without being told.
ALWAYS_IGNORED = (".git/", ".vscode/", ".funcignore", ".gitignore", "local.settings.json")


def published(root: Path) -> list[Path]:
    """The files of the folder that its .funcignore, read as a .gitignore, lets through."""
    from pathspec import GitIgnoreSpec  # noqa: PLC0415 (only the program below runs without it)

    lines = (root / ".funcignore").read_text(encoding="utf-8").splitlines()
    ignored = GitIgnoreSpec.from_lines([*ALWAYS_IGNORED, *lines])
    files: list[Path] = []
    for folder, folders, names in os.walk(root):
        here = Path(folder).relative_to(root)
        # What is in an ignored folder stays behind whatever its name.
        folders[:] = [one for one in folders if not ignored.match_file(f"{here / one}/")]
        files += [here / one for one in names if not ignored.match_file(str(here / one))]
    return sorted(files)


def _imports(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return modules | {
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }


def _index(folder: Path) -> dict[str, Any]:
    """Each function's trigger, by name."""
    sys.path.insert(0, str(folder))
    for file in sorted(folder.rglob("*.py")):
        for module in sorted(_imports(file)):
            importlib.import_module(module)
    app = importlib.import_module("function_app").app
    return {one.get_function_name(): one.get_trigger().type for one in app.get_functions()}


if __name__ == "__main__":
    print(json.dumps(_index(Path(sys.argv[1]))))
