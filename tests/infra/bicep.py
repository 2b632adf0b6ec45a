"""Reads Bicep: declarations and their values, as far as they are written out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from local.stack import ROOT

__all__ = ["INFRA", "TEMPLATES", "Declaration", "Expression", "File", "name_of", "walk"]

INFRA = ROOT / "infra"
TEMPLATES = sorted(INFRA.rglob("*.bicep"))

_PARSER = Parser(Language(tree_sitter_bicep.language()))
_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "type_declaration": "type",
    "output_declaration": "output",
    "resource_declaration": "resource",
    "module_declaration": "module",
}


class Expression(str):
    """What has to be evaluated by Bicep: its text."""

    __slots__ = ()


@dataclass(frozen=True)
class Declaration:
    """Something that a file declares, or a member of a type."""

    kind: str  # param, var, type, output, resource, module or member.
    name: str
    type: str  # The text of the type: of a resource that of Azure, of a module its path.
    value: Any
    decorators: dict[str, Any]  # By name: the argument, None without one.
    existing: bool = False
    members: list[Declaration] = field(default_factory=list)  # Of a type.
    parent: Declaration | None = None  # Of a resource inside another.

    @property
    def description(self) -> str:
        """What its @description says; empty without one."""
        return str(self.decorators.get("description", ""))

    @property
    def is_optional(self) -> bool:
        """Whether a parameter may be left out, or a member of a type."""
        return self.type.endswith("?") or (self.kind == "param" and self.value is not None)


class File:
    """One Bicep file."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._root = _PARSER.parse(text.encode()).root_node
        self.all = list(_declarations(self._root, None))

    @classmethod
    def read(cls, path: Path) -> File:
        """The file at a path."""
        return cls(path.read_text(encoding="utf-8"))

    def errors(self) -> list[str]:
        """Where the parser did not understand, or missed something."""
        return [
            f"line {node.start_point.row + 1}: {_text(node)[:60]!r}"
            for node in walk(self._root)
            if node.is_error or node.is_missing
        ]

    def of(self, kind: str) -> dict[str, Declaration]:
        """The declarations of a kind, by name."""
        return {one.name: one for one in self.all if one.kind == kind}


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def name_of(path: Path) -> str:
    """A path as a test shows it."""
    return str(path.relative_to(INFRA))


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def _declarations(parent: Node, around: Declaration | None) -> Iterator[Declaration]:
    """Those directly in a file or, of resources, in the body of another."""
    decorators: dict[str, Any] = {}
    for node in parent.children:
        if node.type == "decorators":
            decorators = dict(map(_decorator, node.named_children))
            continue
        inner = node.named_children[0] if node.type == "object_property" else node
        if inner.type in _KINDS:
            found = _declaration(inner, decorators, around)
            yield found
            if found.kind == "resource":
                yield from _declarations(_body(inner), found)
        if node.type != "comment":
            decorators = {}


def _declaration(node: Node, decorators: dict[str, Any], around: Declaration | None) -> Declaration:
    kind = _KINDS[node.type]
    name, *rest = [child for child in node.named_children if child.type != "comment"]
    last = rest[-1] if rest else name
    has_value = any(child.type == "=" for child in node.children)
    if kind in {"resource", "module"}:
        written = _value(rest[0])
    elif kind == "type":
        written = _text(last)
    else:
        written = next((_text(child) for child in rest if child.type == "type"), "")
        if kind == "param" and not written and rest and rest[0] is not last:
            written = _text(rest[0])
    return Declaration(
        kind=kind,
        name=_text(name),
        type=str(written),
        value=_value(last) if has_value and kind != "type" else None,
        decorators=decorators,
        existing=any(child.type == "existing" for child in node.children),
        members=list(_members(last)) if kind == "type" else [],
        parent=around,
    )


def _members(node: Node) -> Iterator[Declaration]:
    """The members of an object type, with their decorators."""
    decorators: dict[str, Any] = {}
    for child in node.children:
        if child.type == "decorators":
            decorators = dict(map(_decorator, child.named_children))
        elif child.type == "object_property":
            name, written = child.children[0], child.children[-1]
            yield Declaration("member", _text(name), _text(written), None, decorators)
            decorators = {}


def _decorator(node: Node) -> tuple[str, Any]:
    call = node.named_children[0]
    name, arguments = call.named_children[0], call.named_children[-1]
    given = arguments.named_children
    return _text(name), _value(given[0]) if given else None


def _body(node: Node) -> Node:
    """The object of a declaration, whatever condition or loop is around it."""
    last = node.named_children[-1]
    while last.type in {"for_statement", "if_statement"}:
        last = last.named_children[-1]
    return last


def _value(node: Node) -> Any:
    """The value as Python has it; an Expression where it is not written out."""
    match node.type:
        case "string":
            return _string(node)
        case "number":
            return int(_text(node))
        case "boolean":
            return _text(node) == "true"
        case "null":
            return None
        case "array":
            return [_value(child) for child in node.named_children if child.type != "comment"]
        case "object":
            return {
                str(_value(child.children[0])): _value(child.children[-1])
                for child in node.named_children
                if child.type == "object_property" and len(child.children) > 1
            }
        case "if_statement":
            return _value(node.named_children[-1])
        case "for_statement":
            return [_value(node.named_children[-1])]
        case _:
            return Expression(_text(node))


def _string(node: Node) -> str:
    if any(child.type == "interpolation" for child in node.children):
        return Expression(_text(node))
    return _text(node)[1:-1].replace("\\'", "'").replace("\\\\", "\\")
