"""Step 1: two municipalities come to live side by side; doing it again changes nothing."""

from __future__ import annotations

import hashlib
import tomllib

import psycopg

from story.world import HIRONO, IWAKI, REPOSITORY, World, proved

FILES = {IWAKI: "tenants/072044-iwaki.toml", HIRONO: "tenants/075418-hirono.toml"}

# Everything that provisioning may leave behind in the database, as one digest.
_STATE = """
SELECT 'role', rolname, rolcanlogin::text, rolsuper::text || rolcreaterole::text || rolbypassrls::text
  FROM pg_roles WHERE rolname ~ '^(t[0-9]{6}_|juki_)'
UNION ALL SELECT 'member', m.roleid::regrole::text, m.member::regrole::text, '' FROM pg_auth_members m
 WHERE m.roleid::regrole::text ~ '^t[0-9]{6}_'
UNION ALL SELECT 'table', c.oid::regclass::text, c.relowner::regrole::text, coalesce(c.relacl::text, '') FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname ~ '^(t[0-9]{6}|control)$'
UNION ALL SELECT 'tenant', code, state, epoch::text || coalesce(key_id, '') FROM control.tenant
UNION ALL SELECT 'root', tenant_code, purpose || version::text, encode(blob, 'hex') FROM control.wrapped_root
"""


def run(world: World) -> dict[str, object]:
    """Start the database, add both municipalities twice, and compare what stands there after each time."""
    world.juki("db", "start", timeout=120)
    first = {code: world.juki("tenant", "add", file, "--json").json for code, file in FILES.items()}
    before = digest(world)
    second = {code: world.juki("tenant", "add", file, "--json").json for code, file in FILES.items()}
    after = digest(world)
    for code in FILES:
        proved(first[code]["done"], f"{code}: the first run provisions")
        proved(second[code]["done"] == [], f"{code}: the second run has nothing to do")
        findings = world.juki("tenant", "check", code, "--json").json
        proved(not [f for f in findings if f["fault"]], f"{code}: directory, schema, roles, grants and key agree")
    proved(before == after, "running it again changes nothing in the database")
    listed = {t["code"]: t for t in world.juki("tenant", "list", "--json").json}
    proved(set(FILES) <= set(listed), "both stand in the directory")
    proved(listed[IWAKI]["key_id"] != listed[HIRONO]["key_id"], "each has a KMS key of its own")
    return {
        "proved": "両市町村にスキーマ・ロール・権限・鍵が揃い、再実行しても何も変わりません",
        "tenants": {code: {k: listed[code][k] for k in ("name", "schema", "state", "epoch")} for code in FILES},
        "state_digest": after,
    }


def admin_dsn(world: World) -> str:
    """Owner's connection of the local database, for the story's own look at the catalog."""
    settings = tomllib.loads((world.home / "juki.toml").read_text())
    return settings["dsn_deploy"]


def digest(world: World) -> str:
    """SHA-256 over roles, memberships, grants, directory and wrapped roots."""
    with psycopg.connect(admin_dsn(world)) as connection:
        rows = sorted(connection.execute(_STATE).fetchall())
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def tenant_file(code: str) -> str:
    """Path of a municipality's file."""
    return str(REPOSITORY / FILES[code])
