"""The rules that keep the house in order: who imports whom, sizes, and settings that agree."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.messages.schema import DocumentMessage, PointsMessage
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "function_app.py"
READ_THE_ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}


def modules(folder: str) -> list[Path]:
    """The modules of a folder; what was installed into it is not ours."""
    return sorted(
        path
        for path in (ROOT / folder).rglob("*.py")
        if not any(part == "node_modules" or part.startswith(".") for part in path.parts)
    )


SHARED, LOCAL, TOOLS = modules("shared"), modules("local"), modules("tools")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def syntax(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Every module that the file imports, wherever in it."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            found.add(module)
            found.update(f"{module}.{alias.name}" for alias in node.names)
    return found


def of_package(path: Path, *packages: str) -> list[str]:
    """What the file imports of these packages."""
    return sorted(
        name
        for name in imports(path)
        if any(name == package or name.startswith(f"{package}.") for package in packages)
    )


def environment_reads(path: Path) -> Iterator[int]:
    """The lines that read the environment, however `os` was imported."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Attribute) and node.attr in READ_THE_ENVIRONMENT:
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (node.lineno for alias in node.names if alias.name in READ_THE_ENVIRONMENT)


by_name = pytest.mark.parametrize("path", SHARED, ids=name_of)


def test_there_is_something_to_look_at() -> None:
    assert len(SHARED) > 20
    assert len(LOCAL) > 10
    assert "shared.pipeline.processor.Drain" in imports(APP)


@by_name
def test_the_product_imports_nothing_that_is_not_deployed(path: Path) -> None:
    assert of_package(path, "local", "tests", "tools", "bench", "function_app") == []


@pytest.mark.parametrize("path", LOCAL, ids=name_of)
def test_a_stand_in_shares_nothing_with_the_product(path: Path) -> None:
    assert of_package(path, "shared", "function_app") == []


@by_name
def test_only_the_app_knows_functions(path: Path) -> None:
    assert of_package(path, "azure.functions") == []
    assert of_package(APP, "azure.functions") != []


@by_name
def test_only_the_app_reads_the_environment(path: Path) -> None:
    assert path.name == "settings.py" or list(environment_reads(path)) == []


# Everything may import these; what else a module of the middle may import stands beside it.
ANYONE = {"shared.model", "shared.batch", "shared.errors"}
MAY_IMPORT = {
    "model": set(),
    "batch": set(),
    "errors": set(),
    "address": set(),
    "packing": set(),
    "relay": set(),
    "rollup": set(),
    "wire": {"shared.publisher.rollup"},
    "publisher": {"shared.clients.http"},
    "http": {"shared.clients.session"},
    "session": {"shared.clients.watchdog"},
    "watchdog": {"shared.clients.deadline"},
    "deadline": set(),
    "gate": {"shared.clients.deadline"},
    "json_client": {
        "shared.clients.deadline",
        "shared.clients.rate_limiter",
        "shared.clients.http",
        "shared.publisher.retry",
        "shared.clients.watchdog",
    },
    "fence": set(),
    "cardinality": set(),
    "regions": {"shared.resource_ids", "shared.clients.deadline", "shared.clients.json_client"},
    "detours": set(),
    "intake": {
        "shared.pipeline.series_limiter",
        "shared.pipeline.detours",
        "shared.pipeline.fence",
        "shared.pipeline.regions",
        "shared.publisher.batcher",
    },
    "telemetry": {"shared.log_limit", "shared.publisher.batcher"},
    "log_limit": set(),
    "identity": set(),
    "connections": {"shared.clients.credentials"},
    "queues": set(),
    "refusal": {"shared.resource_ids"},
    "message_types": {"shared.resource_ids"},
    "body": {"shared.resource_ids", "shared.messages.refusal"},
    "message_writer": {"shared.messages.schema", "shared.messages.packing"},
    "dead_letter": {"shared.messages.writer", "shared.messages.packing"},
    "dead_letter_box": {"shared.pipeline.dead_letters"},
}


@pytest.mark.parametrize(("name", "allowed"), MAY_IMPORT.items(), ids=MAY_IMPORT)
def test_imports_follow_the_data(name: str, allowed: set[str]) -> None:
    modules = {f"shared.{path.stem}" for path in SHARED}
    found = set(of_package(ROOT / "shared" / f"{name}.py", "shared")) & modules
    assert found <= ANYONE | allowed


PURE = ("message", "body", "checks", "address", "refusal", "message_types", "message_writer")
EFFECTS = ("asyncio", "concurrent", "logging", "os", "random", "requests", "socket", "threading")


@pytest.mark.parametrize(
    "name", [*PURE, "batch", "rollup", "wire", "packing", "model", "dead_letter"]
)
def test_the_middle_is_pure(name: str) -> None:
    path = ROOT / "shared" / f"{name}.py"
    assert of_package(path, *EFFECTS, "time", "azure") == []
    calls = {node.attr for node in ast.walk(syntax(path)) if isinstance(node, ast.Attribute)}
    assert calls.isdisjoint({"now", "utcnow", "today"})


@by_name
def test_a_module_says_what_it_is_and_what_it_offers(path: Path) -> None:
    tree = syntax(path)
    assert ast.get_docstring(tree)
    offers = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
    ]
    if len(tree.body) == 1:  # A package with nothing in it but its docstring.
        return
    ((*names,),) = offers
    public = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
    }
    assert public <= set(names)


@pytest.mark.parametrize("path", [*SHARED, *LOCAL, *TOOLS, APP], ids=name_of)
def test_a_module_fits_into_a_head(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


# --- What host.json and the sample settings say, and what the code does --------------------------


def of_json(name: str) -> Any:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


def seconds(text: str) -> timedelta:
    hours, minutes, rest = text.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(rest))


QUEUES = of_json("host.json")["extensions"]["queues"]
SAMPLE = of_json("local.settings.sample.json")["Values"]


def test_what_is_put_back_is_seen_when_what_failed_is() -> None:
    assert seconds(QUEUES["visibilityTimeout"]) == Settings.from_env(SAMPLE).retry_delay


def test_points_expire_before_the_host_gives_up() -> None:
    longest = Settings.from_env(
        {**SAMPLE, "METRICS_PAST_MINUTES": "30", "METRICS_FUTURE_MINUTES": "5"}
    ).window
    retries = QUEUES["maxDequeueCount"] * seconds(QUEUES["visibilityTimeout"])
    assert retries > longest.past + longest.future


def test_a_message_of_plain_text_reaches_the_function() -> None:
    assert QUEUES["messageEncoding"] == "none"


OF_THE_HOST = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
# Of the app's triggers.
OF_THE_TRIGGERS = {"METRICS_QUEUE", "METRICS_SAMPLE_SCHEDULE"}


def known_settings() -> set[str]:
    """The names that the code asks for."""
    constants = {
        node.value
        for path in (ROOT / "shared" / "settings.py", APP)
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return OF_THE_HOST | {text.strip("%") for text in constants if text.strip("%").isidentifier()}


def test_the_sample_settings_are_known_and_good() -> None:
    assert SAMPLE.keys() <= known_settings()
    assert SAMPLE.keys() >= OF_THE_HOST | OF_THE_TRIGGERS
    settings = Settings.from_env(SAMPLE)
    assert (settings.queue, settings.sources) == ("metrics", "[]")


TAKEN_BY_THE_HOST = {
    "id",
    "dequeueCount",
    "insertionTime",
    "expirationTime",
    "nextVisibleTime",
    "popReceipt",
}


@pytest.mark.parametrize("kind", [PointsMessage, DocumentMessage])
def test_no_member_of_a_message_is_one_that_the_host_takes_for_its_own(kind: type) -> None:
    members = {name.lower() for name in kind.__struct_encode_fields__}  # type: ignore[attr-defined]
    assert members.isdisjoint(name.lower() for name in TAKEN_BY_THE_HOST)
