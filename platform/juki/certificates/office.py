"""交付する市区町村の設定 as the paper needs them, and the terminal a paper is issued at."""

from __future__ import annotations

import re
from typing import Final

from juki.access.model import Caller
from juki.certificates.compose import Office
from juki.certificates.model import CertificateKind
from juki.certificates.seal import square_seal
from juki.problem import Refused
from juki.tenancy import Tenant

_COUNTY: Final = re.compile(r"^.{1,4}郡(?=.+[町村]$)")
_NUMBER: Final = re.compile(r"(\d+)$")


def office_of(tenant: Tenant, caller: Caller) -> Office:
    """The municipality as it prints itself; Refused `certificates.terminal_unknown` away from a registered terminal."""
    settings = tenant.settings
    terminal = next((t for t in settings.terminals if t.id == caller.terminal_id), None)
    if terminal is None:
        raise Refused("certificates.terminal_unknown", "certificates are issued at registered terminals only")
    place = next((o.name for o in settings.offices if o.code == terminal.office), "")
    number = _NUMBER.search(terminal.id)
    return Office(
        prefecture=tenant.prefecture,
        municipality=_COUNTY.sub("", tenant.name),
        head_title=settings.head.title,
        head_name=settings.head.name,
        seal_svg=settings.seal.picture or square_seal(settings.seal.text),
        seal_mm=min(settings.seal.size_mm, 25.0),
        glyphs={chr(int(name.removeprefix("U+"), 16)): drawing for name, drawing in settings.glyphs.items()},
        counter=f"{place}{int(number[1]) if number else 1}",
        fees_yen={
            CertificateKind.RESIDENT: settings.fees.resident_record,
            CertificateKind.REMOVED: settings.fees.removed_record,
        },
    )
