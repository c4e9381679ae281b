"""Whoever meets an error reads in Japanese what happened and what to do: no code is raised without its sentence."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import juki
from juki.problem import JukiError
from juki.texts import texts

ROOT = Path(next(iter(juki.__path__)))


def kinds() -> dict[str, type[JukiError]]:
    """Every kind of error of the package, by name."""
    for module in pkgutil.walk_packages(juki.__path__, "juki."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: dict[str, type[JukiError]] = {}
    waiting = [JukiError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found


def raised(names: set[str]) -> Iterator[tuple[str, str]]:
    """(code, place) of each error made with its code written out."""
    for file in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in names:
                continue
            codes = [node.args[0].body, node.args[0].orelse] if _is_choice(node) else node.args[:1]
            for code in codes:
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    yield code.value, f"{file.relative_to(ROOT)}:{node.lineno}"


def _is_choice(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.IfExp)


def test_every_code_has_a_japanese_sentence_that_ends() -> None:
    """Also those that only an operator at the command line can meet."""
    known = texts()
    found = kinds()
    codes = dict(raised(set(found)))
    assert len(codes) > 200
    codes |= {kind.code: inspect.getfile(kind) for kind in found.values() if inspect.getmodule(kind)}
    assert {code: place for code, place in codes.items() if code not in known} == {}
    assert [code for code, text in known.items() if not text.endswith("。")] == []
