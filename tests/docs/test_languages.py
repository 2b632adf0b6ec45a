"""Every program of docs/enqueue.md compiles, runs, and its point arrives in the store.

C# is not run: its compiler is in no package registry that the tests use.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .pages import read
from .treatments import PROGRAMS_PAGE
from .world import World

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

EXAMPLES = Path(__file__).parent / "examples"  # go.mod and pom.xml pin the packages.
PROGRAMS = {block.language: block for block in read(PROGRAMS_PAGE).blocks}
TIMEOUT = 570  # Seconds; the first build downloads packages.


@pytest.fixture(params=["connection string", "identity"])
def environ(request: pytest.FixtureRequest, world: World) -> Mapping[str, str]:
    """The environment of a program: with a connection string, or with a managed identity."""
    environ = {**world.environ, "SSL_CERT_FILE": world.environ["CURL_CA_BUNDLE"]}
    if request.param == "identity":
        del environ["CONNECTION_STRING"]
    return environ


def test_python(world: World, environ: Mapping[str, str], eventually: Ask) -> None:
    (file := world.checkout / "orders.py").write_text(source("python", world), "utf-8")
    check([sys.executable, file], world, environ, eventually)


def test_javascript(world: World, environ: Mapping[str, str], eventually: Ask) -> None:
    (file := world.checkout / "local" / "orders.mjs").write_text(
        source("javascript", world), "utf-8"
    )
    check(["node", file], world, environ, eventually)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_go(world: World, environ: Mapping[str, str], eventually: Ask, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, folder := tmp_path / "go")
    (folder / "main.go").write_text(source("go", world), "utf-8")
    run(["go", "build", "-o", "orders"], folder, os.environ)
    check([folder / "orders"], world, environ, eventually)


@pytest.mark.slow
@pytest.mark.skipif(None in map(shutil.which, ("mvn", "javac")), reason="Maven is not installed")
def test_java(world: World, environ: Mapping[str, str], eventually: Ask, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, folder := tmp_path / "java")
    (file := folder / "Orders.java").write_text(source("java", world), "utf-8")
    classpath = folder / "classpath.txt"
    build = ["mvn", "-B", "-q", "dependency:build-classpath", f"-Dmdep.outputFile={classpath}"]
    run(build, folder, os.environ)
    trust = folder / "trust.p12"
    key = ["-alias", "azurite", "-file", environ["CURL_CA_BUNDLE"]]
    run(
        ["keytool", "-importcert", "-noprompt", *key, "-keystore", trust, "-storepass", "password"],
        folder,
        os.environ,
    )
    # In a locale whose digits and decimal point differ from those of JSON.
    options = [
        *(f"-Djavax.net.ssl.trustStore={trust}", "-Djavax.net.ssl.trustStorePassword=password"),
        *("-Duser.language=ar", "-Duser.country=EG"),
    ]
    command = ["java", *options, "-cp", classpath.read_text("utf-8"), file]
    check(command, world, environ, eventually)


def source(language: str, world: World) -> str:
    return world.filled(PROGRAMS[language].text)


def check(
    command: list[str | Path], world: World, environ: Mapping[str, str], eventually: Ask
) -> None:
    """Run a program; its point is stored, and nothing is dead-lettered."""
    run(command, world.checkout, environ)
    (value,) = eventually(lambda: world.backend.metrics(metric="Orders"), bool)
    assert (value["sum"], value["count"], value["dimensions"]) == (7, 1, {"Country": "NL"})
    assert world.backend.dead_letters() == []


def run(command: list[str | Path], folder: Path, environ: Mapping[str, str]) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout
