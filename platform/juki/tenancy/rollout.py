"""Rollout of revisions over the fleet: waves with a gate, one transaction per tenant, halt at the first failure.

The version rows and the ledger entry are written in the tenant's own transaction, so a runner that is killed loses
nothing and repeats nothing: the next run asks every schema what it has and goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final

import msgspec
import psycopg
from psycopg import errors, sql

from juki.config import Config
from juki.problem import Conflict, Misconfigured, NotFound
from juki.tenancy.directory import Tenant
from juki.tenancy.fleet import connect
from juki.tenancy.locks import take_lock
from juki.tenancy.provisioning import list_tenants
from juki.tenancy.revisions import Revision
from juki.tenancy.session import Row
from juki.tenancy.shape import drifted, expected

_RUNNER_LOCK: Final = (19276, 1)
_ATTEMPTS: Final = 3
_BACKOFF_SECONDS: Final = 0.5
HOUSED: Final[frozenset[str]] = frozenset({"migrating", "active", "suspended", "leaving"})
"""States in which a tenant has a schema."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one tenant lacks."""

    code: str
    schema: str
    wave: int
    revisions: tuple[str, ...]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one step; `sqlstate` names the database's reason for a failure."""

    code: str
    wave: int
    revisions: tuple[str, ...]
    milliseconds: int
    sqlstate: str = ""


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One run: done when nothing failed and every gate held."""

    run_no: int
    outcome: str
    applied: tuple[Applied, ...]
    failed: tuple[Applied, ...]
    remaining: int


Gate = Callable[[psycopg.Connection[Row], Sequence[Step]], list[str]]


def open_gate(_: psycopg.Connection[Row], __: Sequence[Step]) -> list[str]:
    """The gate that lets every wave pass."""
    return []


def plan(
    deploy: psycopg.Connection[Row], revisions: tuple[Revision, ...], codes: Sequence[str] = ()
) -> tuple[Step, ...]:
    """Which tenant lacks which revision, cut into waves: one tenant, then a tenth, then the rest."""
    tenants = _chosen(list_tenants(deploy), codes)
    known = _versions(deploy, [tenant.schema for tenant in tenants])
    lacking = [(t, _missing(revisions, known[t.schema])) for t in tenants]
    behind = [(tenant, missing) for tenant, missing in lacking if missing]
    return tuple(
        Step(code=tenant.code, schema=tenant.schema, wave=_wave(place, len(behind)), revisions=missing)
        for place, (tenant, missing) in enumerate(behind)
    )


def roll_out(
    config: Config,
    revisions: tuple[Revision, ...],
    *,
    codes: Sequence[str] = (),
    workers: int = 4,
    gate: Gate = open_gate,
) -> Rollout:
    """Bring tenants to the newest revision; Conflict `migrate.running` while another runner is at work."""
    with closing(connect(config, "deploy", autocommit=True)) as deploy:
        if not take_lock(deploy, *_RUNNER_LOCK):
            raise Conflict("migrate.running", "another runner is migrating", remedy="wait for it to end")
        steps = plan(deploy, revisions, codes)
        run_no = _open_run(deploy, revisions)
        result = _waves(config, deploy, run_no, steps, revisions, workers, gate)
        deploy.execute(
            "UPDATE control.migration_run SET ended_at = now(), outcome = %s WHERE run_no = %s",
            (result.outcome, run_no),
        )
        return result


def shape_gate() -> Gate:
    """The gate after a wave: every tenant of it has exactly the shape of the expected-schema file."""
    lines = expected("tenant")
    return lambda deploy, wave: sorted(drifted(deploy, [step.schema for step in wave], lines))


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """A municipality whose schema is not of this program's revision."""

    code: str
    missing: tuple[str, ...]
    unknown: tuple[str, ...]


def mismatches(config: Config, ids: Sequence[str]) -> list[Mismatch]:
    """Municipalities whose schema lacks one of the revisions `ids`, or has one beyond them; asked as the service."""
    found: list[Mismatch] = []
    with closing(connect(config, "registry", autocommit=True)) as service:
        for tenant in list_tenants(service):
            if tenant.state not in HOUSED:
                continue
            service.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(f"{tenant.schema}_registry")))
            query = sql.SQL("SELECT revision FROM {}.schema_version").format(sql.Identifier(tenant.schema))
            known = {str(row[0]) for row in service.execute(query, prepare=False).fetchall()}
            missing, unknown = tuple(i for i in ids if i not in known), tuple(sorted(known - set(ids)))
            if missing or unknown:
                found.append(Mismatch(code=tenant.code, missing=missing, unknown=unknown))
            service.execute("RESET ROLE")
    return found


def _waves(
    config: Config,
    deploy: psycopg.Connection[Row],
    run_no: int,
    steps: tuple[Step, ...],
    revisions: tuple[Revision, ...],
    workers: int,
    gate: Gate,
) -> Rollout:
    applied: list[Applied] = []
    failed: list[Applied] = []
    for wave in sorted({step.wave for step in steps}):
        members = [step for step in steps if step.wave == wave]
        results = _one_wave(config, run_no, members, revisions, workers)
        applied += [result for result in results if not result.sqlstate]
        failed += [result for result in results if result.sqlstate]
        if failed:
            break
        if shut := gate(deploy, members):
            failed += [
                Applied(code=s.code, wave=wave, revisions=s.revisions, milliseconds=0, sqlstate="shape")
                for s in members
                if s.schema in shut
            ]
            break
    outcome = "halted" if failed else "done"
    left = len(steps) - len(applied)
    return Rollout(run_no=run_no, outcome=outcome, applied=tuple(applied), failed=tuple(failed), remaining=left)


def _one_wave(
    config: Config, run_no: int, steps: Sequence[Step], revisions: tuple[Revision, ...], workers: int
) -> list[Applied]:
    """Workers share the wave; after the first failure no new tenant is begun."""
    todo = list(reversed(steps))
    results: list[Applied] = []
    halted = False

    def work() -> None:
        nonlocal halted
        with closing(connect(config, "deploy", autocommit=True)) as connection:
            while todo and not halted:
                try:
                    step = todo.pop()
                except IndexError:
                    return
                result = _one_tenant(connection, config, run_no, step, revisions)
                results.append(result)
                halted = halted or bool(result.sqlstate)

    with ThreadPoolExecutor(max(1, min(workers, len(steps)))) as pool:
        for future in [pool.submit(work) for _ in range(max(1, min(workers, len(steps))))]:
            future.result()
    return results


def _one_tenant(
    connection: psycopg.Connection[Row], config: Config, run_no: int, step: Step, revisions: tuple[Revision, ...]
) -> Applied:
    """Apply a step, again if a lock could not be had in time: a busy counter is no reason to halt the fleet at once."""
    began = time.monotonic()
    query = _transaction(config, run_no, step, revisions)
    sqlstate = ""
    for attempt in range(_ATTEMPTS):
        try:
            connection.execute(query)
            sqlstate = ""
            break
        except psycopg.Error as e:
            sqlstate = e.sqlstate or "08000"
            if connection.closed:
                break
            connection.execute("ROLLBACK")
            if not isinstance(e, errors.LockNotAvailable | errors.DeadlockDetected):
                break
            time.sleep(_BACKOFF_SECONDS * 2**attempt)
    result = Applied(
        code=step.code,
        wave=step.wave,
        revisions=step.revisions,
        milliseconds=int((time.monotonic() - began) * 1000),
        sqlstate=sqlstate,
    )
    if sqlstate and not connection.closed:
        _note_failure(connection, run_no, result)
    return result


def _transaction(config: Config, run_no: int, step: Step, revisions: tuple[Revision, ...]) -> bytes:
    """Everything for one tenant as one message: timeouts, statements, version rows, ledger entries, commit."""
    parts = [
        "BEGIN",
        f"SET LOCAL lock_timeout = {int(config.lock_timeout_seconds * 1000)}",
        f"SET LOCAL statement_timeout = {int(config.bulk_timeout_seconds * 1000)}",
    ]
    for revision in revisions:
        if revision.id not in step.revisions:
            continue
        parts.append(revision.for_schema(step.schema).decode().strip().rstrip(";"))
        version = sql.SQL("INSERT INTO {}.schema_version (revision, fingerprint) VALUES ({}, {})").format(
            sql.Identifier(step.schema), sql.Literal(revision.id), sql.Literal(revision.fingerprint)
        )
        entry = sql.SQL(
            "INSERT INTO control.migration_ledger (run_no, tenant_code, revision, wave, outcome, milliseconds)"
            " VALUES ({}, {}, {}, {}, 'applied',"
            " (extract(epoch FROM clock_timestamp() - transaction_timestamp()) * 1000)::integer)"
        ).format(sql.Literal(run_no), sql.Literal(step.code), sql.Literal(revision.id), sql.Literal(step.wave))
        parts += [version.as_string(None), entry.as_string(None)]
    return ";\n".join([*parts, "COMMIT"]).encode()


def _note_failure(connection: psycopg.Connection[Row], run_no: int, result: Applied) -> None:
    for revision in result.revisions:
        connection.execute(
            "INSERT INTO control.migration_ledger"
            " (run_no, tenant_code, revision, wave, outcome, sqlstate, milliseconds)"
            " VALUES (%s, %s, %s, %s, 'failed', %s, %s)",
            (run_no, result.code, revision, result.wave, result.sqlstate, result.milliseconds),
        )


def _open_run(deploy: psycopg.Connection[Row], revisions: tuple[Revision, ...]) -> int:
    newest = revisions[-1]
    row: Any = deploy.execute(
        "INSERT INTO control.migration_run (head, fingerprint) VALUES (%s, %s) RETURNING run_no",
        (newest.id, newest.fingerprint),
    ).fetchone()
    return int(row[0])


def _chosen(tenants: Sequence[Tenant], codes: Sequence[str]) -> list[Tenant]:
    housed = [tenant for tenant in tenants if tenant.state in HOUSED]
    if unknown := set(codes) - {tenant.code for tenant in housed}:
        raise NotFound("tenant.unknown", f"no municipality {min(unknown)} with a schema here")
    return [tenant for tenant in housed if not codes or tenant.code in codes]


def _versions(deploy: psycopg.Connection[Row], schemas: Sequence[str]) -> dict[str, dict[str, str]]:
    """What every schema says it has; one pipeline, so a fleet costs a few round trips."""
    with deploy.pipeline():
        cursors = [
            deploy.execute(
                sql.SQL("SELECT revision, fingerprint FROM {}.schema_version").format(sql.Identifier(schema)),
                prepare=False,
            )
            for schema in schemas
        ]
    return {schema: dict(cursor.fetchall()) for schema, cursor in zip(schemas, cursors, strict=True)}


def _missing(revisions: tuple[Revision, ...], known: dict[str, str]) -> tuple[str, ...]:
    for revision in revisions:
        if known.get(revision.id, revision.fingerprint) != revision.fingerprint:
            raise Misconfigured("migrate.rewritten", f"revision {revision.id} was changed after it was applied")
    return tuple(revision.id for revision in revisions if revision.id not in known)


def _wave(place: int, total: int) -> int:
    if place == 0:
        return 1
    return 2 if place <= max(1, total // 10) else 3
