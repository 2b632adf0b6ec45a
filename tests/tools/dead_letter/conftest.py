"""Fixtures of the dead-letter tests."""

from __future__ import annotations

import pytest

from local.stack import Backend

from .shell import Shell


@pytest.fixture
def shell(backend: Backend, queue: str) -> Shell:
    """Return a command line; ingress and dead-letter queue exist and are empty."""
    made = Shell(backend, queue)
    made.ingress.create_queue()
    made.dead_letters.create_queue()
    return made
