"""The rules of the layout: who may import whom, sizes, names, and files that agree."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from datetime import timedelta
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

from shared.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FUNCTION_APP = ROOT / "function_app.py"
MAX_LINES = 300


def python_files(folder: str) -> list[Path]:
    """Return the modules of a folder, without what is installed into it."""
    return sorted(
        path
        for path in (ROOT / folder).rglob("*.py")
        if not any(part == "node_modules" or part.startswith(".") for part in path.parts)
    )


SHARED = python_files("shared")


def name_of(path: Path) -> str:
    """Return the dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path, tree: ast.AST | None = None) -> set[str]:
    """Return every name that a module imports, anywhere in it."""
    package = path.relative_to(ROOT).parent.parts
    found: set[str] = set()
    for node in ast.walk(tree or parse(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def imports_from(path: Path, *packages: str) -> list[str]:
    """Return what a module imports from these packages."""
    prefixes = tuple(f"{package}." for package in packages)
    return sorted(name for name in imports(path) if f"{name}.".startswith(prefixes))


def unit_of(name: str) -> str:
    """Return the folder or top-level module of `shared` to which a name belongs."""
    return name.split(".")[1] if "." in name else ""


def files_of(*folders: str) -> list[Path]:
    """Return the modules of folders, and function_app.py."""
    return [path for folder in folders for path in python_files(folder)] + [FUNCTION_APP]


# --- Imports --------------------------------------------------------------------------------------

BASE = {"errors", "model", "resource_ids", "text"}
# Folder or module of shared/ -> what it may import of shared/, beside itself.
MAY_IMPORT = {
    "errors": set[str](),
    "model": set[str](),
    "text": set[str](),
    "resource_ids": {"text"},
    "telemetry": BASE | {"background"},
    "background": set[str](),
    "clients": BASE,
    "messages": BASE,
    "settings": BASE | {"clients"},
    "publisher": BASE | {"background", "clients", "telemetry"},
    "sources": BASE | {"background", "clients", "messages", "telemetry"},
    "pipeline": BASE | {"clients", "messages", "publisher", "telemetry"},
    "app": {unit_of(name_of(path)) for path in SHARED},
}
# Package -> packages that none of its modules may import.
APART = {
    "shared": ("local", "tools", "tests", "bench", "function_app", "azure.functions"),
    "local": ("shared", "function_app", "tools", "tests", "bench"),
    "tools": ("local", "tests", "bench", "function_app", "azure.functions"),
}


def test_every_folder_and_module_has_its_imports_listed() -> None:
    assert {unit_of(name_of(path)) for path in SHARED} - {""} == MAY_IMPORT.keys()


@pytest.mark.parametrize("path", SHARED, ids=name_of)
def test_imports_follow_the_data(path: Path) -> None:
    unit = unit_of(name_of(path))
    imported = {unit_of(name) for name in imports_from(path, "shared")} - {"", unit}
    assert imported <= MAY_IMPORT.get(unit, set())


def test_no_module_imports_itself_through_others() -> None:
    modules = {name_of(path): path for path in SHARED}
    graph = {
        name: {one for one in imports_from(path, "shared") if one in modules} - {name}
        for name, path in modules.items()
    }
    order = list(TopologicalSorter(graph).static_order())  # Raises CycleError.
    assert len(order) == len(modules)


@pytest.mark.parametrize(("package", "others"), APART.items(), ids=APART)
def test_packages_are_apart(package: str, others: tuple[str, ...]) -> None:
    found = {name_of(path) for path in python_files(package) if imports_from(path, *others)}
    assert found == set()


def test_only_function_app_knows_azure_functions_and_settings_become_parts_in_app_only() -> None:
    assert "azure.functions" in imports(FUNCTION_APP)
    assert {unit_of(name) for name in imports_from(FUNCTION_APP, "shared")} - {""} == {
        "app",
        "model",  # The origin of a message.
        "settings",
    }


@pytest.mark.parametrize("path", SHARED, ids=name_of)
def test_no_module_of_the_product_is_imported_for_types_only(path: Path) -> None:
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            assert not [name for name in imports(path, node) if name.startswith("shared")]


@pytest.mark.parametrize("path", SHARED, ids=name_of)
def test_only_entry_points_read_the_environment(path: Path) -> None:
    read = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
    tree = parse(path)
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert read.isdisjoint(used | imports(path, tree))


EFFECTS = ("asyncio", "azure", "concurrent", "logging", "os", "random", "requests", "socket")
PURE = [
    path
    for path in SHARED
    if unit_of(name_of(path)) in {*BASE, "messages"}
    or name_of(path) in {"shared.publisher.encoder", "shared.publisher.responses"}
]


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_modules_have_no_effects(path: Path) -> None:
    assert imports_from(path, *EFFECTS, "threading", "time") == []
    calls = [node.func for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]
    called = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert called.isdisjoint({"now", "utcnow", "today"})


# --- Modules --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", files_of("shared", "local", "tools"), ids=name_of)
def test_module_is_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", SHARED, ids=name_of)
def test_module_has_a_docstring_and_lists_its_public_names(path: Path) -> None:
    tree = parse(path)
    assert ast.get_docstring(tree)
    public = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    }
    listed = {
        name
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    }
    assert public <= listed


# --- Names ----------------------------------------------------------------------------------------

# Words that the code once had for what now has the name after the arrow; see the glossary.
# Parts of identifiers, in the singular.
OLD_WORDS = {
    "lane",  # -> target
    "columns",  # -> roll-up
    "verdict", "ruling", "judged", "judge",  # -> outcome, response action
    "refusal",  # -> rejection
    "letter", "burial", "box",  # -> dead letter
    "gate", "toll",  # -> rate limiter
    "fence",  # -> allowed scopes
    "guard",  # -> series limiter
    "detour", "obstacle",  # -> region, cooldown
    "parcel", "room",  # -> message, what is left of a limit
    "finding",  # -> measurement
    "crank",  # -> manual host
    "house",  # -> layout
    "doubt", "mend", "patient", "remedy", "spool", "tally",
}  # fmt: skip
ALLOWED_NAMES = {"TypeGuard"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(identifier: str) -> set[str]:
    """Return the words of an identifier; a dead letter is one word."""
    words = [word.lower() for word in _WORD.findall(identifier)]
    text = " ".join(words).replace("dead letter", "deadletter")
    return {part for word in text.split() for part in (word, word.removesuffix("s"))}


@pytest.mark.parametrize(
    ("identifier", "found"),
    [
        ("_Lane", {"lane"}),
        ("OLD_LETTERS", {"letter"}),
        ("deadLetterBox", {"box"}),
        ("dead_letters", set()),
        ("plane", set()),
    ],
)
def test_words_are_found_in_identifiers(identifier: str, found: set[str]) -> None:
    assert words_of(identifier) & OLD_WORDS == found


@pytest.mark.parametrize("path", files_of("shared", "tests/unit", "tests/integration"), ids=name_of)
def test_old_words_are_gone(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    names = {path.stem} | {
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.NAME and token.string not in ALLOWED_NAMES
    }
    assert sorted(name for name in names if words_of(name) & OLD_WORDS) == []


# --- host.json and the sample settings ------------------------------------------------------------


def read_json(name: str) -> Any:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


def duration(text: str) -> timedelta:
    hours, minutes, seconds = map(float, text.split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


QUEUES = read_json("host.json")["extensions"]["queues"]
SAMPLE = read_json("local.settings.sample.json")["Values"]


def test_what_is_put_back_is_visible_when_a_failed_message_is() -> None:
    assert duration(QUEUES["visibilityTimeout"]) == Settings.from_env(SAMPLE).retry_delay


def test_points_expire_before_the_host_gives_up() -> None:
    longest = {"METRICS_PAST_MINUTES": "30", "METRICS_FUTURE_MINUTES": "5"}
    window = Settings.from_env({**SAMPLE, **longest}).time_window
    retries = QUEUES["maxDequeueCount"] * duration(QUEUES["visibilityTimeout"])
    assert retries > window.past + window.future


def test_plain_text_reaches_the_function() -> None:
    assert QUEUES["messageEncoding"] == "none"


def test_sample_settings_have_what_host_and_triggers_need() -> None:
    host = {"AzureWebJobsStorage", "FUNCTIONS_WORKER_RUNTIME"}
    assert SAMPLE.keys() >= {*host, "METRICS_QUEUE", "METRICS_SAMPLE_SCHEDULE"}
