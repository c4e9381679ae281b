"""Runs one step of tenancy in a process of its own and kills it with SIGKILL at a named point; used by the fault tests.

python killed.py provision POINT CODE DSN_DEPLOY KMS_FOLDER
python killed.py migrate TENANTS DSN_DEPLOY REVISION_SQL   (killed once so many have it and the next is under way)
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from juki.config import Config
from juki.tenancy import connect, load_tree, provisioning, read_file, roll_out
from juki.tenancy.directory import Keys
from juki.tenancy.revisions import Revision
from juki.vault import open_kms

FILE = Path(__file__).resolve().parents[2] / "tenants" / "075418-hirono.toml"


def die(*_: Any, **__: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def provision(point: str, code: str, dsn: str, kms_folder: str) -> None:
    kms = open_kms(f"local:{kms_folder}")
    if point == "key made, not noted":
        made = kms.create_key
        vars(kms)["create_key"] = lambda alias: die(made(alias))
    steps = {
        "registered": "_settings_current",
        "key noted": "_wrap_roots",
        "roots wrapped": "_build_schema",
        "schema built": "change_state",
    }
    if point in steps:
        setattr(provisioning, steps[point], die)
    if point == "half of the roots":
        _after(1, provisioning, "new_root")
    if point == "roles made":
        provisioning.apply_all = die
    file = msgspec.structs.replace(read_file(FILE), code=code, keys=Keys(alias=f"juki/{code}"))
    with connect(Config(dsn_deploy=dsn), "deploy") as deploy:
        provisioning.add(deploy, kms, file, actor="test")


def migrate(tenants: str, dsn: str, text: str) -> None:
    extra = Revision(id="9001", slug="slow", kind="expand", sql=text, fingerprint="slow")

    def watch() -> None:
        with connect(Config(dsn_deploy=dsn), "deploy", autocommit=True) as deploy:
            while True:
                done = deploy.execute(
                    "SELECT count(*) FROM control.migration_ledger WHERE revision = '9001'"
                ).fetchone()
                asleep = deploy.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND usename = current_user AND wait_event = 'PgSleep'"
                ).fetchone()
                if done and done[0] >= int(tenants) and asleep and asleep[0]:
                    die()
                time.sleep(0.02)

    threading.Thread(target=watch, daemon=True).start()
    roll_out(Config(dsn_deploy=dsn), (*load_tree("tenant"), extra), workers=2)


def _after(calls: int, module: Any, name: str) -> None:
    real, seen = getattr(module, name), []

    def counted(*given: Any, **named: Any) -> Any:
        seen.append(name)
        return die() if len(seen) > calls else real(*given, **named)

    setattr(module, name, counted)


if __name__ == "__main__":
    {"provision": provision, "migrate": migrate}[sys.argv[1]](*sys.argv[2:])
