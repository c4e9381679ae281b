"""An import killed at any point and started again ends the same (R-1-2.6-MIG-01; fault test with real kills)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.legacy.extracts import count_again
from tests.legacy.media import imported, registered

from juki import legacy
from juki.access.model import Caller
from juki.audit import operation
from juki.config import Config
from juki.legacy.standard import Manifest
from juki.legacy.store.ledger import RUN_LOCK
from juki.problem import Conflict
from juki.tenancy import Fleet, bulk

CODE = "075418"
KILLED_AT = (0, 1, 3, 6)  # chunks that stand when the process is killed; 0: as soon as it can be


def _environment(config: Config) -> dict[str, str]:
    named = {f"JUKI_{name.upper()}": str(getattr(config, name)) for name in ("home", "kms", "dsn_registry")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JUKI_")}
    return kept | named


def _command(folder: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "juki",
        "legacy",
        "import",
        "--tenant",
        CODE,
        "--source",
        str(folder),
        "--json",
        *more,
    ]


def killed_at(config: Config, folder: Path, chunks: int, *more: str) -> bool:
    """Start the import in a process of its own and kill it once so many chunks stand; False where it ended before."""
    with bulk(config, CODE) as watcher:
        watcher.autocommit = True
        process = subprocess.Popen(
            _command(folder, *more), env=_environment(config), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            row = watcher.execute(f"SELECT count(*) FROM t{CODE}.import_chunk".encode()).fetchone()
            if row is not None and row[0] >= chunks:
                process.send_signal(signal.SIGKILL)
                process.wait()
                return process.returncode == -signal.SIGKILL
            time.sleep(0.002)
    return False


async def manifest(fleet: Fleet) -> Manifest:
    """Digests over everything the register holds, opened."""
    return await asyncio.to_thread(legacy.export_standard, fleet, CODE, legacy.nowhere, now=fleet.clock())


def digest(manifest: Manifest, name: str) -> str:
    found = manifest.of(name)
    assert found is not None
    return found.sha256


async def test_an_import_killed_again_and_again_ends_like_one_that_was_not(
    fleet: Fleet,
    fresh_config: Config,
    fresh_fleet: Fleet,
    extracts: dict[str, Path],
    caller: Callable[..., Caller],
) -> None:
    who = caller("import.run", "import.review", tenant=CODE)
    straight = await imported(fleet, who, extracts[CODE])
    await registered(fresh_fleet, CODE)
    for chunks in KILLED_AT:
        assert await asyncio.to_thread(killed_at, fresh_config, extracts[CODE], chunks)
    finished = await imported(fresh_fleet, who, extracts[CODE])
    assert finished.balanced
    assert finished.counts == straight.counts
    one, other = await manifest(fleet), await manifest(fresh_fleet)
    for name in ("residents.csv", "households.csv", "events.csv"):
        assert digest(one, name) == digest(other, name), name
    for name in ("support_measures.csv", "resident_code_stock.csv", "import_original.csv", "import_reject.csv"):
        assert one.of(name) is not None
        assert one.of(name).rows == other.of(name).rows, name  # type: ignore[union-attr]


async def test_each_chunk_is_there_whole_or_not_at_all(
    fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger row and the rows it speaks of are one transaction: a break in the middle leaves neither."""
    who = caller("import.run", "import.review", tenant=CODE)
    from juki.legacy.store import chunk

    written: list[str] = []
    copy_table = chunk.copy_table

    def breaking(connection: object, tenant: object, table: str, rows: object) -> None:
        written.append(table)
        if written.count("resident_version") == 3 and table == "resident_version":
            raise RuntimeError("the process dies here")
        copy_table(connection, tenant, table, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(chunk, "copy_table", breaking)
    with pytest.raises(RuntimeError):
        await imported(fresh_fleet, who, extracts[CODE])
    monkeypatch.undo()
    with bulk(fresh_fleet, CODE) as connection:
        chunks = connection.execute(
            "SELECT count(*), sum((counts->>'versions')::int) FROM t075418.import_chunk"
        ).fetchone()
        versions = connection.execute("SELECT count(*) FROM t075418.resident_version").fetchone()
        orphans = connection.execute(
            "SELECT count(*) FROM t075418.event e WHERE NOT EXISTS "
            "(SELECT 1 FROM t075418.resident_version v WHERE v.event_no = e.event_no)"
        ).fetchone()
    assert chunks is not None
    assert versions is not None
    assert orphans is not None
    assert chunks == (2, versions[0])
    assert orphans[0] == 0
    assert (await imported(fresh_fleet, who, extracts[CODE])).balanced


async def test_two_imports_of_one_municipality_do_not_run_at_once(
    fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller]
) -> None:
    who = caller("import.run", tenant=CODE)
    with bulk(fresh_fleet, CODE) as connection:
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (RUN_LOCK, int(CODE)))
        connection.commit()
        with pytest.raises(Conflict) as refused:
            await imported(fresh_fleet, who, extracts[CODE])
    assert refused.value.code == "legacy.running"
    assert (await imported(fresh_fleet, who, extracts[CODE])).balanced


async def test_an_extract_of_people_who_are_here_already_is_refused_chunk_by_chunk(
    fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller], tmp_path: Path
) -> None:
    """The same people under another slip: nothing of a chunk with a known person is written."""
    who = caller("import.run", "import.review", tenant=CODE)
    for file in extracts[CODE].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "codes.csv").open("ab") as codes:
        codes.write(b"12345678903\r\n")
    count_again(tmp_path)
    with bulk(fleet, CODE) as connection:
        before = connection.execute("SELECT count(*) FROM t075418.resident_version").fetchone()
    with pytest.raises(Conflict) as refused:
        await imported(fleet, who, tmp_path)
    assert refused.value.code == "legacy.already_there"
    with bulk(fleet, CODE) as connection:
        after = connection.execute("SELECT count(*) FROM t075418.resident_version").fetchone()
    assert before == after
    async with operation(fleet, who, "legacy.report", purpose="確認", write=False) as op:
        assert await op.session.fetch_one("SELECT count(*) FROM {t}.import_end") == (1,)


async def test_an_import_begun_by_a_release_that_totals_otherwise_is_refused_and_not_called_unbalanced(
    fresh_fleet: Fleet, extracts: dict[str, Path], caller: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-1-2.6-MIG-01: sums made in two ways do not compare, so the second release says so before it writes."""
    from juki.legacy import plan
    from juki.legacy.store import chunk

    who = caller("import.run", tenant=CODE)
    write_chunk = chunk.write_chunk

    def two_chunks(*given: Any) -> None:
        if given[-1].number == 2:
            raise RuntimeError("the process dies here")
        write_chunk(*given)

    monkeypatch.setattr(chunk, "write_chunk", two_chunks)
    monkeypatch.setattr(plan, "DIGEST_FORMAT", plan.DIGEST_FORMAT - 1)
    with pytest.raises(RuntimeError):
        await imported(fresh_fleet, who, extracts[CODE])
    monkeypatch.undo()
    with bulk(fresh_fleet, CODE) as connection:
        before = connection.execute("SELECT count(*) FROM t075418.resident_version").fetchone()
    with pytest.raises(Conflict) as refused:
        await imported(fresh_fleet, who, extracts[CODE])
    assert refused.value.code == "legacy.other_release"
    with bulk(fresh_fleet, CODE) as connection:
        assert connection.execute("SELECT count(*) FROM t075418.resident_version").fetchone() == before
        assert connection.execute("SELECT count(*) FROM t075418.import_end").fetchone() == (0,)
