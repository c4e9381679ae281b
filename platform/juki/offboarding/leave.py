"""利用終了の開始と中止: an approved request becomes a case, the counter closes; a withdrawn one opens it again."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

from juki.config import Config
from juki.offboarding import store
from juki.offboarding.model import Case, CaseState, advance
from juki.offboarding.store import Wish
from juki.problem import Conflict
from juki.tenancy import change_state, connect, find, order_reload

STATES: Final[frozenset[str]] = frozenset({"migrating", "active", "leaving"})
"""States of a municipality in which its own people may still act on its leaving."""


def begin(config: Config, code: str, wish: Wish) -> Case:
    """Take over an approved request and close the counter: no more changes, the export will be the last word.

    May be run again. A case of an earlier request, whose withdrawal was cut, ends here: neither its key nor its export
    is this request's. Conflict `offboarding.not_approved`.
    """
    if wish.decision != "approved":
        raise Conflict("offboarding.not_approved", "nobody has approved this request")
    with store.control(config) as connection:
        case = store.open_case(connection, code, wish)
        if case.requested_at != wish.requested_at:
            store.move(connection, case, CaseState.WITHDRAWN)
            case = store.open_case(connection, code, wish)
        if case.state is not CaseState.APPROVED:
            return case
        _close_counter(config, code, wish.decided_by)
        return store.move(connection, case, CaseState.LEAVING)


def give_back(config: Config, code: str, wish: Wish) -> None:
    """After a withdrawal: the counter opens again. Conflict `offboarding.wrong_state` once the erasure has begun."""
    with store.control(config) as connection:
        case = store.find_case(connection, code)
        if case is not None:
            store.move(connection, case, CaseState.WITHDRAWN)
    with connect(config, "deploy") as deploy:
        if find(deploy, code).state == "leaving":
            change_state(deploy, code, "active", actor=wish.decided_by, reason="利用終了の取下げ")
    _tell(config, code)


def check_withdrawable(config: Config, code: str) -> None:
    """Conflict `offboarding.wrong_state` where the case has gone too far to turn back."""
    with store.control(config) as connection:
        case = store.find_case(connection, code)
        if case is not None:
            advance(case.state, CaseState.WITHDRAWN)


def case_folder(config: Config, case: Case) -> Path:
    """Where the papers of a case are kept until the municipality has them."""
    folder = config.home_path / "offboarding" / f"{case.tenant_code}-{case.case_no}"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def grace_end(exported_at: dt.datetime, days: int) -> dt.datetime:
    """From when the erasure may begin."""
    return exported_at + dt.timedelta(days=days)


def _close_counter(config: Config, code: str, actor: str) -> None:
    with connect(config, "deploy") as deploy:
        if find(deploy, code).state != "leaving":
            change_state(deploy, code, "leaving", actor=actor, reason="利用終了")
    _tell(config, code)


def _tell(config: Config, code: str) -> None:
    """Every process reads the directory anew; the new epoch turns away a writer that has not."""
    with connect(config, "deploy", autocommit=True) as deploy:
        order_reload(deploy, code)
