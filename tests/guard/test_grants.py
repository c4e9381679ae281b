"""Every right of every role on every table, as one file that a person reviews.

`JUKI_TEST_WRITE=1 pytest tests/guard/test_grants.py` writes the file anew.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from juki.config import Config
from juki.tenancy import connect

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "grants.txt"

_GRANTS = """
WITH relation AS (
    SELECT c.oid, n.nspname, c.relname, c.relacl, c.relowner FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('control', 't072044') AND c.relkind IN ('r', 'p', 'v', 'S')),
held AS (
    SELECT r.nspname, r.relname, x.grantee, x.privilege_type AS right_ FROM relation r, aclexplode(r.relacl) x
    WHERE x.grantee <> r.relowner
    UNION ALL
    SELECT r.nspname, r.relname, x.grantee,
           x.privilege_type || '(' || string_agg(a.attname, ' ' ORDER BY a.attname COLLATE "C") || ')'
    FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attacl IS NOT NULL, aclexplode(a.attacl) x
    GROUP BY r.nspname, r.relname, x.grantee, x.privilege_type)
SELECT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END, nspname || '.' || relname,
       string_agg(right_, ', ' ORDER BY right_ COLLATE "C")
FROM held GROUP BY 1, 2 ORDER BY 1, 2
"""

_MEMBERS = """
SELECT m.rolname::text, r.rolname::text FROM pg_auth_members a
JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
WHERE r.rolname LIKE 't072044\\_%' AND m.rolname <> 'juki_deploy' ORDER BY 1, 2
"""


def _told(deploy: psycopg.Connection[Any]) -> list[str]:
    members = [f"{login} may become {role}" for login, role in deploy.execute(_MEMBERS).fetchall()]
    grants = [f"{role}  {table}  {rights}" for role, table, rights in deploy.execute(_GRANTS).fetchall()]
    return [*members, *grants]


def test_every_grant_is_one_that_somebody_reviewed(config: Config) -> None:
    """R-A-3.3-ACC: least privilege, written down; a new right shows up in this file's difference."""
    with closing(connect(config, "deploy")) as deploy:
        told = _told(deploy)
    if os.environ.get("JUKI_TEST_WRITE"):
        GOLDEN.write_text("\n".join(told) + "\n", encoding="utf-8")
    assert told == GOLDEN.read_text(encoding="utf-8").splitlines()


def test_nothing_is_granted_to_everybody(config: Config) -> None:
    """R-A-3.3-ACC: PUBLIC may enter no schema, read no table, run no function of ours."""
    with closing(connect(config, "deploy")) as deploy:
        told = [line for line in _told(deploy) if line.startswith("PUBLIC")]
        functions = deploy.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname IN ('control', 't072044') AND has_function_privilege('juki_registry', p.oid, 'EXECUTE')"
        ).fetchall()
    assert told == []
    assert functions == []
