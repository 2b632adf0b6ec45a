"""All tests of clients run with a proxy in the environment: none of them may need it."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def proxy_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:1")
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
