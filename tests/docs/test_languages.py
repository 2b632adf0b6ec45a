"""Every program of docs/enqueue.md compiles, runs, and its point arrives in the store.

C# is not run, because no package registry that the tests use has its compiler.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from .block_kinds import PROGRAMS_PAGE
from .pages import read
from .sandbox import Sandbox

Ask = Callable[[Callable[[], Any], Callable[[Any], bool]], Any]

EXAMPLES = Path(__file__).parent / "examples"  # go.mod and pom.xml pin the packages.
PROGRAMS = {block.language: block for block in read(PROGRAMS_PAGE).blocks}
TIMEOUT = 570  # Seconds; the first build downloads packages.


@pytest.fixture(params=["connection string", "identity"])
def environ(request: pytest.FixtureRequest, sandbox: Sandbox) -> Mapping[str, str]:
    """The environment of a program: with a connection string, or with a managed identity."""
    environ = {**sandbox.environ, "SSL_CERT_FILE": sandbox.environ["CURL_CA_BUNDLE"]}
    if request.param == "identity":
        del environ["CONNECTION_STRING"]
    return environ


def test_python(sandbox: Sandbox, environ: Mapping[str, str], eventually: Ask) -> None:
    (file := sandbox.checkout / "orders.py").write_text(source("python", sandbox), "utf-8")
    check([sys.executable, file], sandbox, environ, eventually)


def test_javascript(sandbox: Sandbox, environ: Mapping[str, str], eventually: Ask) -> None:
    (file := sandbox.checkout / "local" / "orders.mjs").write_text(
        source("javascript", sandbox), "utf-8"
    )
    check(["node", file], sandbox, environ, eventually)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed")
def test_go(sandbox: Sandbox, environ: Mapping[str, str], eventually: Ask, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, folder := tmp_path / "go")
    (folder / "main.go").write_text(source("go", sandbox), "utf-8")
    run(["go", "build", "-o", "orders"], folder, os.environ)
    check([folder / "orders"], sandbox, environ, eventually)


@pytest.mark.slow
@pytest.mark.skipif(None in map(shutil.which, ("mvn", "javac")), reason="Maven is not installed")
def test_java(
    sandbox: Sandbox, environ: Mapping[str, str], eventually: Ask, tmp_path: Path
) -> None:
    shutil.copytree(EXAMPLES, folder := tmp_path / "java")
    (file := folder / "Orders.java").write_text(source("java", sandbox), "utf-8")
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
    command: list[str | Path] = ["java", *options, "-cp", classpath.read_text("utf-8"), file]
    check(command, sandbox, environ, eventually)


def source(language: str, sandbox: Sandbox) -> str:
    return sandbox.filled(PROGRAMS[language].text)


def check(
    command: Sequence[str | Path], sandbox: Sandbox, environ: Mapping[str, str], eventually: Ask
) -> None:
    """Run a program; its point is stored, and nothing is dead-lettered."""
    run(command, sandbox.checkout, environ)
    (value,) = eventually(lambda: sandbox.backend.metrics(metric="Orders"), bool)
    assert (value["sum"], value["count"], value["dimensions"]) == (7, 1, {"Country": "NL"})
    assert sandbox.backend.dead_letters() == []


def run(command: Sequence[str | Path], folder: Path, environ: Mapping[str, str]) -> None:
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
