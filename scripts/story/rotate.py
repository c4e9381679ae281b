"""Step 9: root, index root and KMS key are turned while requests run; what the old ones sealed opens nowhere."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg

from juki.config import load
from juki.problem import JukiError
from juki.registry.model import Basic
from juki.tenancy import kms_of
from juki.vault import WrappedRoot, unwrap
from story.changes import clerks
from story.clerk import Clerk
from story.keys import open_ring
from story.provision import admin_dsn
from story.world import IWAKI, World, proved


@dataclass
class Traffic:
    """Reads and searches by a clerk, one after the other, until told to stop."""

    clerk: Clerk
    atena_no: str
    answers: int = 0
    failures: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until over; every answer other than 200 is a failure."""
        while not self.over.is_set():
            for answer in (
                self.clerk.get(f"/records/{self.atena_no}", groups="basic,address"),
                self.clerk.post("/search", {"kana": "ワタナベ"}),
                self.clerk.post("/search", {"atena_no": self.atena_no}),
            ):
                self.answers += 1
                if answer.status_code != 200:
                    self.failures.append(f"{answer.request.url.path} {answer.status_code} {answer.text[:200]}")
            time.sleep(0.02)


def run(world: World) -> dict[str, object]:
    """Turn all three under traffic, then try the old root and the old key on what they once protected."""
    clerk, _ = clerks(world)
    atena_no = world.shared["family"][1]
    kept_rows, kept_roots = _before(world, atena_no)
    traffic = Traffic(clerk, atena_no)
    worker = threading.Thread(target=traffic.run)
    worker.start()
    turned: dict[str, Any] = {}
    try:
        for kind in ("root", "index", "kms"):
            turned[kind] = world.juki("rotate", kind, "--tenant", IWAKI, "--json", timeout=7200).json
    finally:
        time.sleep(0.5)
        traffic.over.set()
        worker.join()
    proved(traffic.answers > 10, f"requests ran all the while ({traffic.answers})")
    proved(not traffic.failures, f"nothing failed: {traffic.failures[:3]}")
    closed = _after(world, atena_no, kept_rows, kept_roots)
    return {
        "proved": f"交換中の{traffic.answers}件の要求はすべて成功し、古い根鍵では何も開きません",
        "requests": traffic.answers, "turned": turned, "old_rows_refused": closed,
    }  # fmt: skip


def _rows(world: World, atena_no: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(admin_dsn(world)) as connection:
        return connection.execute(
            f"SELECT version_no, basic_sealed FROM t{IWAKI}.resident_version WHERE atena_no = %s ORDER BY 1",
            (atena_no,),
        ).fetchall()


def _before(world: World, atena_no: str) -> tuple[list[tuple[Any, ...]], list[WrappedRoot]]:
    with psycopg.connect(admin_dsn(world)) as connection:
        roots = connection.execute(
            "SELECT tenant_code, purpose, version, key_id, blob, commitment FROM control.wrapped_root WHERE tenant_code = %s",
            (IWAKI,),
        ).fetchall()
    names = ("tenant", "purpose", "version", "key_id", "blob", "commitment")
    return _rows(world, atena_no), [WrappedRoot(**dict(zip(names, row, strict=True))) for row in roots]


def _after(world: World, atena_no: str, kept: list[tuple[Any, ...]], roots: list[WrappedRoot]) -> int:
    """The present keys open the present rows and none of the old ones; the old wrapped roots cannot be unwrapped."""
    config = load(world.env())
    kms = kms_of(config)
    ring = open_ring(world, IWAKI)
    now = _rows(world, atena_no)
    proved(
        len(now) == len(kept) and all(a[1] != b[1] for a, b in zip(now, kept, strict=True)), "every row is sealed anew"
    )
    for version_no, sealed in now:
        ring.open("resident_version", "basic", atena_no, version_no, sealed, Basic)
    refused = 0
    for version_no, sealed in kept:
        try:
            ring.open("resident_version", "basic", atena_no, version_no, sealed, Basic)
        except JukiError:
            refused += 1
    proved(refused == len(kept), "what the old root sealed does not open")
    for root in roots:
        try:
            unwrap(kms, root)
        except JukiError:
            continue
        proved(False, f"the old wrapped {root.purpose} root cannot be unwrapped any more")
    return refused
