"""The media of synthetic extracts, registered as an office would before it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from juki import legacy
from juki.access.model import Caller, system
from juki.audit import operation
from juki.dates import today_in_japan
from juki.tenancy import Fleet


async def registered(fleet: Fleet, code: str, number: str = "") -> str:
    """The medium of a synthetic extract, registered where it is not yet."""
    medium = number or f"USB-{code}-01"
    who = system(code, "import test", ("import.run", "import.review"))
    async with operation(fleet, who, "legacy.medium_add", purpose="移行媒体の管理", right="import.run") as op:
        if medium not in {known.medium_no for known in await legacy.media(op)}:
            await legacy.add_medium(
                op,
                medium,
                kind="usb",
                encryption="AES-256 ハードウェア暗号化",
                received_on=today_in_japan(op.now),
                received_from="現行事業者　搬送担当",
            )
    return medium


async def imported(fleet: Fleet, who: Caller, folder: Path, **more: Any) -> legacy.Report:
    """An import from a registered medium."""
    await registered(fleet, who.tenant)
    return await legacy.run_import(fleet, who, folder, **more)
