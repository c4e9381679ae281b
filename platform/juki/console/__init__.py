"""窓口の画面: server-rendered Japanese pages. Calls front doors; holds no SQL, opens no seal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from litestar.handlers import HTTPRouteHandler

from juki.console import (
    account,
    amending,
    assets,
    cases,
    certificate,
    changes,
    holding,
    loosening,
    protection,
    purpose,
    resident,
    search,
    signin,
    staff,
    trail,
    worklist,
)
from juki.console.faults import page_of

routes: Final[Sequence[HTTPRouteHandler]] = [
    *assets.routes,
    *signin.routes,
    *account.routes,
    *purpose.routes,
    *search.routes,
    *resident.routes,
    *changes.routes,
    *cases.routes,
    *certificate.routes,
    *protection.routes,
    *amending.routes,
    *holding.routes,
    *loosening.routes,
    *trail.routes,
    *worklist.routes,
    *staff.routes,
]

__all__ = ["page_of", "routes"]
