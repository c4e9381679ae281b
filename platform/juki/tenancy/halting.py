"""業務の停止と再開: a municipality is suspended or resumed, and every process knows before the command ends."""

from __future__ import annotations

from contextlib import closing
from typing import Literal

from juki.config import Config
from juki.problem import Conflict
from juki.tenancy import presence
from juki.tenancy.directory import State, Tenant
from juki.tenancy.fleet import Connection, connect
from juki.tenancy.provisioning import LOCK_CLASS, change_state, find

_ANSWER_SECONDS = 15.0


def halt(config: Config, code: str, to: Literal["suspended", "active"], *, actor: str, reason: str) -> Tenant:
    """Change the state and wait until every living process has read the directory anew.

    Writers are turned away by the database from the commit on; readers that hold an older row finish what they began.
    Whoever is leaving is resumed into leaving: its counter stays closed, for what was written after the export would be
    erased with the rest. Conflict `tenant.leaving_stays` where it leaves and is not suspended: only its own withdrawal
    opens it. Unavailable `rotation.process_silent` where a process does not answer: the state has changed none the less.
    """
    with closing(connect(config, "deploy")) as deploy:
        state = to if to == "suspended" else _resumed(deploy, code)
        tenant = change_state(deploy, code, state, actor=actor, reason=reason)
    with closing(connect(config, "deploy", autocommit=True)) as caller:
        presence.order(caller, code, presence.RELOAD, wait_seconds=_ANSWER_SECONDS)
    return tenant


def _resumed(deploy: Connection, code: str) -> State:
    """What a municipality is resumed into; holds the lock under which states change until the caller commits."""
    deploy.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CLASS, int(code)))
    if find(deploy, code).state == "leaving":
        deploy.rollback()
        raise Conflict(
            "tenant.leaving_stays",
            "this municipality is leaving",
            remedy="its own people withdraw: juki offboard withdraw",
        )
    leaves = deploy.execute(
        "SELECT FROM control.offboarding WHERE tenant_code = %s AND state <> 'withdrawn'", (code,)
    ).fetchone()
    return "active" if leaves is None else "leaving"
