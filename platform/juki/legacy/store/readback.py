"""書いた行の読返し: what a run left in the register beside the versions themselves, for the reconciliation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from juki.legacy.store.ledger import Run
from juki.legacy.store.statement import of_tenant
from juki.registry.model import SupportMeasure
from juki.tenancy import Tenant
from juki.vault import TenantRing


def originals_kept(connection: psycopg.Connection[Any], tenant: Tenant, run: Run) -> dict[str, int]:
    """File -> rows whose original bytes are kept with a taken row."""
    rows = connection.execute(
        of_tenant("SELECT file, count(*) FROM {t}.import_original WHERE run_no = %(run)s GROUP BY file", tenant),
        {"run": run.run_no},
    ).fetchall()
    connection.rollback()
    return {row[0]: row[1] for row in rows}


def listed(connection: psycopg.Connection[Any], tenant: Tenant, run: Run) -> dict[str, int]:
    """Outcome -> rows on the work list of a run."""
    rows = connection.execute(
        of_tenant("SELECT outcome, count(*) FROM {t}.import_reject WHERE run_no = %(run)s GROUP BY outcome", tenant),
        {"run": run.run_no},
    ).fetchall()
    connection.rollback()
    return {row[0]: row[1] for row in rows}


def measures_stored(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run, count: int
) -> Iterator[SupportMeasure]:
    """支援措置 that a run brought, in order."""
    rows = connection.execute(
        of_tenant(
            "SELECT measure_no, measure_sealed FROM {t}.support_measure WHERE version_no = 1 AND measure_no >= %(first)s "
            "AND measure_no < %(last)s ORDER BY measure_no",
            tenant,
        ),
        {"first": run.first_measure, "last": run.first_measure + max(1, count)},
    ).fetchall()
    connection.rollback()
    for number, sealed in rows:
        yield ring.open("support_measure", "support", str(number), 1, sealed, SupportMeasure)


def codes_stored(
    connection: psycopg.Connection[Any], tenant: Tenant, ring: TenantRing, run: Run, count: int
) -> Iterator[str]:
    """Free 住民票コード that a run brought, in order."""
    rows = connection.execute(
        of_tenant(
            "SELECT stock_no, code_sealed FROM {t}.resident_code_stock WHERE stock_no >= %(first)s "
            "AND stock_no < %(last)s ORDER BY stock_no",
            tenant,
        ),
        {"first": run.first_code, "last": run.first_code + max(1, count)},
    ).fetchall()
    connection.rollback()
    for number, sealed in rows:
        yield ring.open("resident_code_stock", "resident_code", str(number), 1, sealed, bytes).decode()
