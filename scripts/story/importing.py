"""Steps 2 and 3: the incumbent's extracts, and their way into the register, dry run first, killed once, balanced at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg

from story.changes import today
from story.provision import FILES, admin_dsn
from story.world import HIRONO, IWAKI, REPOSITORY, World, proved

SEED = {IWAKI: "72044", HIRONO: "75418"}


def generate(world: World) -> dict[str, object]:
    """A synthetic extract per municipality, in each incumbent's own layout, with planted faults and their truth."""
    made: dict[str, object] = {}
    world.shared["extracts"] = {}
    for code, file in FILES.items():
        folder = world.home / "extracts" / code
        told = world.juki(
            "legacy", "generate", "--tenant", file, "--residents", str(world.residents), "--seed", SEED[code],
            "--out", str(folder), "--json", progress=True,
        ).json  # fmt: skip
        world.shared["extracts"][code] = folder
        faults = json.loads((folder / "faults.json").read_text())
        proved(faults, f"{code}: faults are planted")
        made[code] = told
    return {"proved": "二つの様式の抽出データを、混ぜた誤りの一覧とともに作りました", "extracts": made}


def run(world: World) -> dict[str, object]:
    """Dry run, then for real; Iwaki's import is killed in the middle and goes on; every planted fault is found."""
    facts: dict[str, object] = {}
    for code in (IWAKI, HIRONO):
        source = str(world.shared["extracts"][code])
        base = ["legacy", "import", "--tenant", code, "--source", source]
        register_medium(world, code)
        before = versions_stored(world, code)
        dry = world.juki(*base, "--dry-run", "--json", progress=True, timeout=7200).json
        proved(versions_stored(world, code) == before == 0, f"{code}: a dry run writes nothing")
        killed = kill_midway(world, base) if code == IWAKI else False
        report = world.out / f"import-{code}.json"
        done = world.juki(*base, "--report", str(report), "--json", progress=True, timeout=7200).json
        counts = done["counts"]
        proved(done["balanced"], f"{code}: the report balances to the last row")
        proved(counts["versions"] == versions_stored(world, code), f"{code}: what the report counts is in the register")
        proved(counts["residents"] == dry["counts"]["residents"], f"{code}: dry run and import agree")
        again = world.juki(*base, "--json", check=False, timeout=7200)
        proved(versions_stored(world, code) == counts["versions"], f"{code}: a second import doubles nothing")
        found = planted(world, code)
        facts[code] = {
            "rows": sum(counts["rows"].values()), "residents": counts["residents"], "versions": counts["versions"],
            "rejected": sum(counts["rejected"].values()), "faults_found": found, "killed_and_resumed": killed,
            "second_run_exit": again.code,
        }  # fmt: skip
        people(world, code)
    serve(world)
    return {
        "proved": "途中で止めても同じ結果になり、件数は最後の1行まで一致し、混ぜた誤りはすべて作業一覧にあります"
    } | facts


def register_medium(world: World, code: str) -> None:
    """The extract came on a dedicated, encrypted medium; from one that nobody registered nothing is taken."""
    source = Path(world.shared["extracts"][code])
    medium = json.loads((source / "extract.json").read_text())["medium"]
    if code == HIRONO:
        refused = world.juki("legacy", "import", "--tenant", code, "--source", str(source), check=False, timeout=7200)
        proved(refused.code == 1, f"{code}: an import from a medium that nobody registered is refused")
        proved(versions_stored(world, code) == 0, f"{code}: and nothing of it is in the register")
    world.juki(
        "legacy", "medium", "add", medium, "--tenant", code, "--kind", "usb", "--encryption", "AES-256 ハードウェア暗号化",
        "--received-on", today().isoformat(), "--from", "現行事業者　搬送担当",
    )  # fmt: skip
    listed = world.juki("legacy", "medium", "list", "--tenant", code, "--json").json
    proved([m["medium_no"] for m in listed] == [medium], f"{code}: the medium is registered")


def versions_stored(world: World, code: str) -> int:
    """履歴 rows in a municipality's register."""
    with psycopg.connect(admin_dsn(world)) as connection:
        row = connection.execute(f"SELECT count(*) FROM t{code}.resident_version").fetchone()
    return int(row[0]) if row else 0


def kill_midway(world: World, base: list[str]) -> bool:
    """Start the import, kill it as soon as its first rows are committed; True where it died before its end."""
    child = subprocess.Popen(
        [sys.executable, "-m", "juki", *base], env=world.env(), cwd=REPOSITORY, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while child.poll() is None and versions_stored(world, IWAKI) == 0:
        time.sleep(0.02)
    if child.poll() is not None:
        return False
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    return True


def planted(world: World, code: str) -> int:
    """Every planted fault stands in the work list at its file and line, with its reason and without its value."""
    truth = json.loads((Path(world.shared["extracts"][code]) / "faults.json").read_text())["faults"]
    listed: set[tuple[str, int, str]] = set()
    after: list[str] = []
    while True:
        page = world.juki("legacy", "worklist", "--tenant", code, "--all", "--limit", "500", "--json", *after).json
        listed |= {(row["file"], row["line"], row["reason"]) for row in page["items"]}
        if len(page["items"]) < 500:
            break
        after = ["--after", str(page["items"][-1]["entry_no"])]
    missed = [f for f in truth if (f["file"], f["line"], f["reason"]) not in listed]
    proved(not missed, f"{code}: every planted fault is found ({len(missed)} missed: {missed[:3]})")
    return len(truth)


def people(world: World, code: str) -> None:
    """The first accounts and terminals of a municipality, from its approved list."""
    out = world.home / f"first-secrets-{code}.json"
    listed = str(REPOSITORY / "scripts" / "story" / f"people-{code}.toml")
    world.juki("access", "bootstrap", "--tenant", code, "--people", listed, "--out", str(out))
    world.shared.setdefault("secrets", {})[code] = json.loads(out.read_text())


def serve(world: World) -> None:
    """Start the service that the rest of the story talks to."""

    def ready() -> bool:
        try:
            return httpx.get(world.url + "/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    world.spawn("serve", "serve", "--port", str(world.port), ready=ready)
