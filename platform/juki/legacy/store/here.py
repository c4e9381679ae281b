"""登録済みのもの: what a second extract must not bring again."""

from __future__ import annotations

from collections.abc import Sequence

from juki.audit import Operation


async def anything(op: Operation) -> bool:
    """Whether the register holds a person or a free 住民票コード."""
    row = await op.session.fetch_one(
        "SELECT EXISTS (SELECT 1 FROM {t}.resident_version) OR EXISTS (SELECT 1 FROM {t}.resident_code_stock)"
    )
    return bool(row and row[0])


async def persons(op: Operation, atena_nos: Sequence[str]) -> list[str]:
    """Of some 宛名番号, those that are in the register."""
    rows = await op.session.fetch(
        "SELECT w.number FROM unnest(%(numbers)s::text[]) AS w(number) WHERE EXISTS "
        "(SELECT 1 FROM {t}.resident_version v WHERE v.atena_no = w.number)",
        {"numbers": atena_nos},
    )
    return [row[0] for row in rows]


async def homes(op: Operation, setai_nos: Sequence[str], atena_nos: Sequence[str]) -> list[str]:
    """Of some 世帯番号, those in which somebody lives who is none of `atena_nos`."""
    rows = await op.session.fetch(
        "SELECT DISTINCT v.setai_no FROM {t}.resident_version v WHERE v.setai_no = ANY(%(homes)s) AND "
        "v.status = 'resident' AND v.atena_no <> ALL(%(persons)s) AND NOT EXISTS (SELECT 1 FROM {t}.resident_version w "
        "WHERE w.atena_no = v.atena_no AND w.version_no > v.version_no) ORDER BY 1",
        {"homes": setai_nos, "persons": atena_nos},
    )
    return [row[0] for row in rows]


async def free_codes(op: Operation) -> set[str]:
    """住民票コード that were ever taken into the stock."""
    rows = await op.session.fetch("SELECT stock_no, code_sealed FROM {t}.resident_code_stock")
    return {
        op.ring.open("resident_code_stock", "resident_code", str(number), 1, sealed, bytes).decode()
        for number, sealed in rows
    }
