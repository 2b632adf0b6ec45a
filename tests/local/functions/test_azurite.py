"""Azurite as a child: where messages stay, and HTTPS."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient

from local import node
from local.azurite import Azurite
from local.processes import ChildError


def test_a_folder_keeps_messages_over_a_restart(tmp_path: Path) -> None:
    with (
        Azurite(folder=tmp_path) as azurite,
        QueueServiceClient.from_connection_string(azurite.connection_string) as service,
    ):
        port = azurite.port
        queue = service.create_queue("metrics")
        queue.send_message("kept")
        azurite.restart()
        assert azurite.port == port
        assert [message.content for message in queue.peek_messages()] == ["kept"]


def test_memory_forgets_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # An account of one's own in the environment does not change the well-known one.
    monkeypatch.setenv("AZURITE_ACCOUNTS", "mine:bWluZQ==")
    with (
        Azurite() as azurite,
        QueueServiceClient.from_connection_string(azurite.connection_string) as service,
    ):
        service.create_queue("metrics")
        azurite.restart()
        assert list(service.list_queues()) == []
    assert list(tmp_path.iterdir()) == []


def test_the_certificate_is_trusted_and_goes_at_the_end() -> None:
    with Azurite(oauth=True) as azurite:
        assert azurite.queue_endpoint.startswith("https://127.0.0.1:")
        certificate = azurite.certificate
        assert certificate is not None
        azurite.restart()
        assert azurite.certificate == certificate
        with QueueServiceClient.from_connection_string(
            azurite.connection_string, connection_verify=str(certificate)
        ) as service:
            service.create_queue("metrics")
    assert not certificate.exists()


def test_a_machine_without_node_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(node, "FROM_WHEEL", tmp_path / "node")
    with pytest.raises(ChildError, match=r"^Node\.js 20\.19 .* run `make setup`$"):
        Azurite().start()
