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
    places = {office.code: office.name for office in settings.offices}
    counters = [_counter(t.id, places.get(t.office, "")) for t in settings.terminals]
    counter = _counter(terminal.id, places.get(terminal.office, ""))
    return Office(
        prefecture=tenant.prefecture,
        municipality=_COUNTY.sub("", tenant.name),
        head_title=settings.head.title,
        head_name=settings.head.name,
        seal_svg=settings.seal.picture or square_seal(settings.seal.text),
        seal_mm=min(settings.seal.size_mm, 25.0),
        glyphs={chr(int(name.removeprefix("U+"), 16)): drawing for name, drawing in settings.glyphs.items()},
        # 発行番号 must be one paper's own, so terminals that would print alike print their whole id
        counter=counter if counters.count(counter) == 1 else terminal.id,
        fees_yen={
            CertificateKind.RESIDENT: settings.fees.resident_record,
            CertificateKind.REMOVED: settings.fees.removed_record,
        },
    )


def _counter(terminal_id: str, place: str) -> str:
    """本庁1: the office and the number at the end of the terminal's id."""
    number = _NUMBER.search(terminal_id)
    return f"{place}{int(number[1]) if number else 1}"
