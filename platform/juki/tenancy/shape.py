"""Shape of a schema: every table, column, constraint, index, function, grant and comment as sorted lines of text.

One query describes any number of schemas, so drift of a whole fleet is one question. The tenant's own name is replaced
by the token of the revisions: two healthy tenants have the same lines, and the file `expected.txt` beside the revisions
has them too. Whatever differs between PostgreSQL 15 and 18 without meaning a difference is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, LiteralString

import psycopg

from juki.problem import Misconfigured
from juki.tenancy.revisions import MIGRATIONS, Tree
from juki.tenancy.session import Row

_LINES: Final[LiteralString] = """
WITH home AS (SELECT oid, nspname, nspacl, nspowner FROM pg_catalog.pg_namespace WHERE nspname = ANY(%(schemas)s)),
relation AS (
    SELECT h.nspname, c.oid, c.relname, c.relkind, c.relacl, c.relowner FROM pg_catalog.pg_class c
    JOIN home h ON h.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')),
line (nspname, line) AS (
    SELECT nspname, format('%%s %%s', CASE relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END, relname)
    FROM relation
    UNION ALL
    SELECT r.nspname, format('column %%s.%%s %%s%%s%%s%%s', r.relname, a.attname, format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attnotnull THEN ' NOT NULL' END, CASE a.attidentity WHEN 'a' THEN ' IDENTITY' WHEN 'd' THEN ' DEFAULT IDENTITY' END,
        CASE WHEN d.oid IS NOT NULL THEN ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END)
    FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum WHERE r.relkind <> 'S'
    UNION ALL
    SELECT r.nspname, format('constraint %%s.%%s %%s', r.relname, k.conname, pg_get_constraintdef(k.oid))
    FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid WHERE k.contype <> 'n'
    UNION ALL
    SELECT r.nspname, 'index ' || pg_get_indexdef(i.indexrelid) FROM relation r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
    UNION ALL
    SELECT r.nspname, 'trigger ' || pg_get_triggerdef(t.oid) FROM relation r
    JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT h.nspname, format('function %%s(%%s) %%s %%s %%s', p.proname, pg_get_function_identity_arguments(p.oid), p.provolatile,
        CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END, md5(replace(p.prosrc, h.nspname, '__tenant__')))
    FROM home h JOIN pg_catalog.pg_proc p ON p.pronamespace = h.oid
    UNION ALL
    SELECT r.nspname, format('comment %%s%%s %%s', r.relname, CASE WHEN a.attname IS NOT NULL THEN '.' || a.attname END, m.description)
    FROM relation r JOIN pg_catalog.pg_description m ON m.objoid = r.oid AND m.classoid = 'pg_catalog.pg_class'::regclass
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = m.objsubid AND m.objsubid > 0
    UNION ALL
    SELECT g.nspname, format('grant %%s %%s TO %%s', g.right_, g.thing, CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE g.grantee::regrole::text END)
    FROM (
        SELECT h.nspname, x.privilege_type AS right_, 'ON SCHEMA' AS thing, x.grantee, h.nspowner AS owner
        FROM home h, aclexplode(h.nspacl) x
        UNION ALL
        SELECT r.nspname, x.privilege_type, 'ON ' || r.relname, x.grantee, r.relowner FROM relation r, aclexplode(r.relacl) x
        UNION ALL
        SELECT r.nspname, x.privilege_type || format(' (%%s)', a.attname), 'ON ' || r.relname, x.grantee, r.relowner
        FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attacl IS NOT NULL, aclexplode(a.attacl) x
        UNION ALL
        SELECT h.nspname, x.privilege_type, format('ON FUNCTION %%s', p.proname), x.grantee, p.proowner
        FROM home h JOIN pg_catalog.pg_proc p ON p.pronamespace = h.oid, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
    ) g WHERE g.grantee <> g.owner
)
"""


def lines_of(connection: psycopg.Connection[Row], schema: str) -> list[str]:
    """The shape of one schema, sorted; empty where there is no such schema."""
    rows = connection.execute(
        _LINES + "SELECT DISTINCT replace(line, nspname, '__tenant__') AS line FROM line", {"schemas": [schema]}
    )
    return sorted(row[0] for row in rows.fetchall())


def digests_of(connection: psycopg.Connection[Row], schemas: Sequence[str]) -> dict[str, str]:
    """SHA-256 of the shape of many schemas in one query; a schema that does not exist is absent."""
    rows = connection.execute(
        _LINES
        + """, told AS (SELECT DISTINCT nspname, replace(line, nspname, '__tenant__') AS line FROM line)
        SELECT nspname, encode(sha256(convert_to(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), 'UTF8')), 'hex')
        FROM told GROUP BY nspname""",
        {"schemas": list(schemas)},
    )
    return dict(rows.fetchall())


def expected(tree: Tree, root: Path | None = None) -> list[str]:
    """The lines that the newest revision is known to give; Misconfigured `migrate.no_expected`."""
    path = (root or MIGRATIONS) / tree / "expected.txt"
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        raise Misconfigured("migrate.no_expected", f"{path.name} is missing beside the revisions of {tree}") from None


def drifted(
    connection: psycopg.Connection[Row], schemas: Sequence[str], lines: Sequence[str]
) -> Mapping[str, list[str]]:
    """Schemas whose shape is not `lines`, each with what is missing (-) and what is too much (+)."""
    wanted = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    found = digests_of(connection, schemas)
    return {schema: _difference(connection, schema, lines) for schema in schemas if found.get(schema) != wanted}


def _difference(connection: psycopg.Connection[Row], schema: str, lines: Sequence[str]) -> list[str]:
    present = set(lines_of(connection, schema))
    return sorted([f"- {line}" for line in set(lines) - present] + [f"+ {line}" for line in present - set(lines)])
