"""Every link between files of the project leads to an existing file and heading."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from local.stack import ROOT

from .pages import PAGES, folder, read
from .sandbox import gitignore


@pytest.mark.parametrize("path", PAGES)
def test_links_are_valid(path: str) -> None:
    broken = [
        f"{path}:{line}: {target}" for line, target in read(path).links if not _exists(path, target)
    ]
    assert broken == []


@pytest.mark.parametrize("path", [page for page in PAGES if page.startswith("docs/")])
def test_the_index_lists_every_page(path: str) -> None:
    listed = {
        str((folder("docs/README.md") / target.partition("#")[0]).resolve().relative_to(ROOT))
        for _, target in read("docs/README.md").links
        if not urlsplit(target).scheme
    }
    assert path in listed | {"docs/README.md"}


def _exists(page: str, target: str) -> bool:
    parts = urlsplit(target)
    if parts.scheme:  # Another site: not requested, so that tests need no network.
        return parts.scheme == "https"
    file = (folder(page) / parts.path).resolve() if parts.path else ROOT / page
    if not file.is_relative_to(ROOT) or not file.exists():
        return False
    return not parts.fragment or parts.fragment in read(str(file.relative_to(ROOT))).anchors


def test_a_broken_link_is_found() -> None:
    assert _exists("docs/messages.md", "../README.md#deploy")
    assert _exists("README.md", "docs/messages.md#dead-letters")
    for target in ("docs/nowhere.md", "docs/messages.md#nowhere", "#nowhere", "http://example.com"):
        assert not _exists("README.md", target)


def test_no_link_leads_to_a_file_that_git_ignores() -> None:
    targets = {
        str((folder(page) / urlsplit(target).path).resolve().relative_to(ROOT))
        for page in PAGES
        for _, target in read(page).links
        if not urlsplit(target).scheme and urlsplit(target).path
    }
    assert [one for one in targets if gitignore().match_file(one)] == []
