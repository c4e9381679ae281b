"""業務の停止と再開: a municipality is suspended or resumed, and every process knows before the command ends."""

from __future__ import annotations

from contextlib import closing
from typing import Literal

from juki.config import Config
from juki.tenancy import presence
from juki.tenancy.directory import Tenant
from juki.tenancy.fleet import connect
from juki.tenancy.provisioning import change_state

_ANSWER_SECONDS = 15.0


def halt(config: Config, code: str, to: Literal["suspended", "active"], *, actor: str, reason: str) -> Tenant:
    """Change the state and wait until every living process has read the directory anew.

    Writers are turned away by the database from the commit on; readers that hold an older row finish what they began.
    Unavailable `rotation.process_silent` where a process does not answer: the state has changed none the less.
    """
    with closing(connect(config, "deploy")) as deploy:
        tenant = change_state(deploy, code, to, actor=actor, reason=reason)
    with closing(connect(config, "deploy", autocommit=True)) as caller:
        presence.order(caller, code, presence.RELOAD, wait_seconds=_ANSWER_SECONDS)
    return tenant
