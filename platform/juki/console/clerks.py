"""職員の氏名: who entered, confirmed or issued, by name, for colleagues who must ask them."""

from __future__ import annotations

from collections.abc import Iterable

from juki.access import accounts
from juki.audit import Operation
from juki.problem import NotFound
from juki.registry.model import MIGRATION


async def names(op: Operation, operator_ids: Iterable[str]) -> dict[str, str]:
    """Id -> 氏名; an id that is nobody's account (a job of the platform, a machine) stands as it is."""
    found = {MIGRATION.code: MIGRATION.name}
    for operator_id in dict.fromkeys(i for i in operator_ids if i not in found):
        try:
            found[operator_id] = (await accounts.find(op.work, operator_id)).profile.name
        except NotFound:
            found[operator_id] = operator_id
    return found
