"""The house keeps its shape: what a linter cannot see of the walls between rooms."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "platform" / "juki"
SLICES = ("registry", "certificates", "legacy", "offboarding")
FLOORS = ("access", "audit", "commands", "console", "peers", "tenancy", "vault", "web")
MAY_OPEN_SESSIONS = ("audit/", "tenancy/", "offboarding/")


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_the_folder_platform_is_not_a_package() -> None:
    """An __init__.py there would shadow the standard library's `platform` for every program started at the root."""
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_every_folder_of_the_package_is_a_known_room() -> None:
    """A new room gets a floor, a contract and a line here, or it is not built."""
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders - {"__pycache__"} <= set(SLICES) | set(FLOORS)


@pytest.mark.parametrize("word", ["utils", "helpers", "base", "manager", "common", "service", "misc"])
def test_no_module_is_named_after_nothing(word: str) -> None:
    """A name that says nothing collects everything."""
    assert [name for name, _ in _modules() if word in Path(name).stem.split("_")] == []


@pytest.mark.parametrize("room", SLICES)
def test_every_slice_has_its_own_contract_and_front_door(room: str) -> None:
    """One protected contract per slice: a shared one protects nothing."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    protected = [
        c["protected_modules"] for c in settings["tool"]["importlinter"]["contracts"] if c["type"] == "protected"
    ]
    assert [f"juki.{room}.*"] in protected
    assert (PACKAGE / room / "__init__.py").exists()


def test_a_tenant_session_is_opened_in_few_places_only() -> None:
    """Whoever works on personal data goes through audit.operation: the intent row comes first."""
    opened = [
        f"{name}:{call.lineno}"
        for name, tree in _modules()
        if not name.startswith(MAY_OPEN_SESSIONS)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _opens_a_session(call)
    ]
    assert opened == []


def _opens_a_session(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id == "TenantSession"
    return (
        isinstance(call.func, ast.Attribute)
        and call.func.attr == "session"
        and any(keyword.arg == "write" for keyword in call.keywords)
    )


def test_no_value_is_ever_written_into_a_statement() -> None:
    """A statement is a literal; at most a constant list of columns is set into it, never a variable."""
    offenders = [
        f"{name}:{call.lineno}"
        for name, tree in _modules()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("fetch", "fetch_one", "execute", "execute_many", "executemany", "copy", "copy_in")
        and call.args
        and _sets_in_a_variable(call.args[0])
    ]
    assert offenders == []


def _sets_in_a_variable(statement: ast.expr) -> bool:
    if not isinstance(statement, ast.JoinedStr):
        return False
    set_in = [part.value for part in statement.values if isinstance(part, ast.FormattedValue)]
    return not all(isinstance(value, ast.Name) and value.id.isupper() for value in set_in)


def test_no_service_knows_an_administrator() -> None:
    """No superuser at run time: only commands that an operator starts by hand read that address."""
    named = [name for name, tree in _modules() if "JUKI_ADMIN_DSN" in ast.dump(tree)]
    assert named
    assert [name for name in named if not name.startswith("commands/")] == []
