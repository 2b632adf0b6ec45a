"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Backend
from tests.manual_host import ManualHost, manual_host


@pytest.fixture
def host(backend: Backend, queue: str) -> Iterator[ManualHost]:
    """A host with the settings of `Backend.app_settings`."""
    with manual_host(backend, queue) as running:
        yield running
