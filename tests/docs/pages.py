"""The Markdown of the project: its code blocks, its headings and its links."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from local.stack import ROOT

__all__ = ["PAGES", "Block", "Page", "folder", "read"]

PAGES = tuple(
    sorted(
        str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
    )
)

_MARKDOWN = MarkdownIt("commonmark").enable("table")
# Characters that GitHub removes from the anchor of a heading.
_PUNCTUATION = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Block:
    """A fenced or indented code block."""

    page: str  # Path from the root of the project.
    line: int  # Of its first line, from 1.
    language: str  # Empty where there is none.
    text: str

    @property
    def name(self) -> str:
        """Page and line, for messages."""
        return f"{self.page}:{self.line}"

    @property
    def key(self) -> tuple[str, str]:
        """Page and first characters, which stay the same when the page changes above it."""
        return self.page, self.text.partition("\n")[0][:60].strip()


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: str
    blocks: tuple[Block, ...]
    anchors: frozenset[str]
    links: tuple[tuple[int, str], ...]  # Line and target; images too.


@cache
def read(path: str) -> Page:
    """Parse a page."""
    tokens = _MARKDOWN.parse((ROOT / path).read_text(encoding="utf-8"))
    blocks = tuple(
        Block(path, _line(token) + 1, token.info.split(" ")[0], token.content)
        for token in tokens
        if token.type in ("fence", "code_block")
    )
    return Page(path, blocks, frozenset(_anchors(tokens)), tuple(_links(tokens)))


def _line(token: Token) -> int:
    return (token.map or [0])[0] + 1


def _anchors(tokens: list[Token]) -> Iterator[str]:
    """Yield the anchor of each heading, as GitHub makes it."""
    seen: Counter[str] = Counter()
    for opening, content in itertools.pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = "".join(part.content for part in content.children or ())
        slug = _PUNCTUATION.sub("", text.lower()).replace(" ", "-")
        yield f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1


def _links(tokens: list[Token]) -> Iterator[tuple[int, str]]:
    line = 1
    for token in tokens:
        line = _line(token) if token.map else line
        for part in token.children or ():
            target = part.attrs.get("href", part.attrs.get("src"))
            if target is not None:
                yield line, str(target)


def folder(page: str) -> Path:
    """Return the folder that the links of a page are relative to."""
    return (ROOT / page).parent
