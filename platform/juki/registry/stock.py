"""住民票コードの在庫 and 個人番号の要求: codes come in bulk from the network, 個人番号 is asked for and awaited."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from juki import numbers as numbering
from juki.audit import Operation
from juki.problem import Invalid, Refused
from juki.registry import case_store, store

STOCK_ADD_MAX = 10_000


async def add_codes(op: Operation, codes: Sequence[str]) -> int:
    """Take 住民票コード from the network into the stock; how many are there now.

    Raises Invalid `registry.resident_code_invalid` with the position of the first bad one, `registry.number_held` or
    `registry.stock_twice` where one would be given out a second time, Refused `access.right_missing`.
    """
    if not op.caller.may("resident.code"):
        raise Refused("access.right_missing", "the duty does not carry this right", right="resident.code")
    rule = op.tenant.settings.numbering.resident_code_check
    if len(codes) > STOCK_ADD_MAX or len(set(codes)) < len(codes):
        raise Invalid("registry.stock_batch", "too many codes at once, or one of them twice")
    for position, code in enumerate(codes):
        if not numbering.is_resident_code(code, rule=rule):
            raise Invalid("registry.resident_code_invalid", "not a code", fields={f"codes.{position}": "unusable"})
    held = await store.holders(op, [("resident_code", code) for code in codes])
    if held:
        raise Invalid("registry.number_held", "a resident holds one of these codes")
    await store.lock(op.session, "stock", ("resident_code",))
    if not (await case_store.codes_waiting(op)).isdisjoint(codes):
        raise Invalid("registry.stock_twice", "one of these codes is in the stock already")
    numbers = await store.draw(op.session, "code_stock_seq", len(codes))
    await case_store.add_stock(op, list(zip(numbers, codes, strict=True)))
    return await case_store.stock_level(op)


async def codes_left(op: Operation) -> int:
    """住民票コード left in the stock."""
    return await case_store.stock_level(op)


async def awaited_numbers(op: Operation) -> tuple[tuple[str, dt.datetime], ...]:
    """個人番号の付番待ち: (宛名番号, since when), longest first."""
    found = await case_store.awaited_numbers(op)
    for atena_no, _ in found:
        op.touch(atena_no)
    return tuple(found)
