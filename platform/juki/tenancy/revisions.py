"""Revisions of a schema: authored in Alembic as plain SQL, rendered once, linted and fingerprinted, then replayed."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import re
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from juki.problem import Misconfigured

Tree: TypeAlias = Literal["control", "tenant"]
Kind: TypeAlias = Literal["expand", "backfill", "contract"]

TOKEN: Final = "__tenant__"  # noqa: S105  a placeholder for a schema name, not a password
MIGRATIONS: Final = Path(__file__).resolve().parents[3] / "migrations"


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a schema: its rendered SQL (schema name still a token), kind and fingerprint."""

    id: str
    slug: str
    kind: Kind
    sql: str
    fingerprint: str

    def for_schema(self, schema: str) -> bytes:
        """The statements for one tenant; `schema` comes from the directory, never from a request."""
        if re.fullmatch(r"[a-z][a-z0-9_]{0,40}", schema) is None:
            raise Misconfigured("migrate.schema_name", "a schema name must be plain lower case")
        return self.sql.replace(TOKEN, schema).encode()


def load_tree(tree: Tree, root: Path | None = None) -> tuple[Revision, ...]:
    """Every revision of a tree in order; Misconfigured where the chain is broken or a revision breaks a rule."""
    folder = (root or MIGRATIONS) / tree / "versions"
    modules = [_module(path) for path in sorted(folder.glob("[0-9]*.py"))]
    if not modules:
        raise Misconfigured("migrate.no_revisions", f"no revisions in {folder}")
    revisions = tuple(_render(module) for module in _in_order(modules))
    for revision in revisions:
        if faults := lint(revision.sql):
            raise Misconfigured("migrate.lint", f"revision {revision.id}: {faults[0]}", faults=len(faults))
    return revisions


def revision_ids(tree: Tree, root: Path | None = None) -> tuple[str, ...]:
    """Ids of a tree's revisions in order, by the names of their files: quick, nothing is rendered."""
    folder = (root or MIGRATIONS) / tree / "versions"
    return tuple(path.name.partition("_")[0] for path in sorted(folder.glob("[0-9]*.py")))


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"juki_revision_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise Misconfigured("migrate.unreadable", f"cannot load {path.name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _in_order(modules: list[ModuleType]) -> list[ModuleType]:
    """One chain without gap or fork."""
    ordered = sorted(modules, key=lambda module: str(module.revision))
    before: str | None = None
    for module in ordered:
        if module.down_revision != before:
            raise Misconfigured("migrate.chain", f"revision {module.revision} does not follow {before or 'nothing'}")
        before = str(module.revision)
    return ordered


def _render(module: ModuleType) -> Revision:
    # half a second of start-up that only who renders should pay, not every command
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    kind: Any = getattr(module, "kind", None)
    if kind not in get_args(Kind):
        raise Misconfigured("migrate.kind", f"revision {module.revision} must say kind = expand, backfill or contract")
    out = io.StringIO()
    options: dict[str, Any] = {"as_sql": True, "output_buffer": out}
    context = MigrationContext.configure(dialect_name="postgresql", dialect_opts={"paramstyle": "named"}, opts=options)
    with Operations.context(context):
        module.upgrade()
    text = out.getvalue()
    slug = Path(str(module.__file__)).stem.partition("_")[2]
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:32]
    return Revision(id=str(module.revision), slug=slug, kind=kind, sql=text, fingerprint=fingerprint)


_FORBIDDEN: Final[tuple[tuple[str, str], ...]] = (
    (r"\bCREATE\s+(UNLOGGED|TEMP|TEMPORARY)\s+TABLE\b", "unlogged and temporary tables are lost"),
    (r"\b(big|small)?serial\b", "use bigint GENERATED ALWAYS AS IDENTITY"),
    (r"\binteger\s+GENERATED\b", "identities are bigint"),
    (r"\bCREATE\s+SCHEMA\b", "schemas are made by provisioning"),
    (r"\bCREATE\s+EXTENSION\b", "nothing outside core PostgreSQL"),
    (r"\bCONCURRENTLY\b", "cannot run inside the tenant's transaction"),
    (r"\bVACUUM\b|\bCLUSTER\b|\bREINDEX\b", "heavy maintenance has no place in a revision"),
    (r"\bSET\s+(SESSION\s+)?search_path\b", "names are qualified, nothing relies on search_path"),
    (r"\bGRANT\b[^;]*\bTO\s+PUBLIC\b", "nothing is granted to everybody"),
    (r"\bGRANT\b[^;]*\bTRUNCATE\b", "nobody empties a table"),
    (r"\bSECURITY\s+DEFINER\b", "a function must not lend its owner's rights"),
    (r"\bCOMMIT\b|\bROLLBACK\b", "the runner holds the transaction"),
)


def lint(text: str) -> list[str]:
    """What a rendered revision may not do, in words; empty when it is clean."""
    plain = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "''", text)
    return [reason for pattern, reason in _FORBIDDEN if re.search(pattern, plain, re.IGNORECASE)]
