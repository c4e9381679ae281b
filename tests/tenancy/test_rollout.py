"""Fleet migration: waves, halt, kill -9, rewritten history, drift."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg import sql

from juki.config import Config
from juki.problem import Conflict, Misconfigured, NotFound
from juki.tenancy import change_state, connect, expected, load_tree, plan, roll_out
from juki.tenancy.revisions import Revision, lint
from juki.tenancy.shape import drifted, lines_of

REVISIONS = load_tree("tenant")


def extra(text: str, id_: str = "9001") -> tuple[Revision, ...]:
    """The real revisions and one more."""
    return (*REVISIONS, Revision(id=id_, slug="extra", kind="expand", sql=text, fingerprint=f"mark {text}"))


@pytest.fixture
def fleet_of_six(fresh_config: Config, newcomer: Callable[[Config], str]) -> Config:
    """Six municipalities in one database."""
    for _ in range(4):
        newcomer(fresh_config)
    return fresh_config


def _codes(config: Config) -> list[str]:
    with closing(connect(config, "deploy")) as deploy:
        return [row[0] for row in deploy.execute("SELECT code FROM control.tenant ORDER BY code").fetchall()]


def _having(config: Config, table: str) -> list[str]:
    with closing(connect(config, "deploy")) as deploy:
        rows = deploy.execute("SELECT schemaname::text FROM pg_tables WHERE tablename = %s ORDER BY 1", (table,))
        return [row[0] for row in rows.fetchall()]


def test_one_revision_reaches_every_municipality_once(fleet_of_six: Config) -> None:
    """Waves of one, a tenth and the rest; the ledger has one line each; the second run has nothing to do."""
    revisions = extra("CREATE TABLE __tenant__.fresh (x int)")
    first = roll_out(fleet_of_six, revisions)
    again = roll_out(fleet_of_six, revisions)
    with closing(connect(fleet_of_six, "deploy")) as deploy:
        ledger = deploy.execute(
            "SELECT tenant_code, outcome FROM control.migration_ledger WHERE revision = '9001' ORDER BY 1"
        ).fetchall()
    codes = _codes(fleet_of_six)
    assert first.outcome == again.outcome == "done"
    assert sorted(step.code for step in first.applied) == codes
    assert [sum(step.wave == wave for step in first.applied) for wave in (1, 2, 3)] == [1, 1, 4]
    assert again.applied == ()
    assert ledger == [(code, "applied") for code in codes]
    assert _having(fleet_of_six, "fresh") == [f"t{code}" for code in codes]


def test_a_revision_forced_a_second_time_leaves_no_trace(fresh_config: Config) -> None:
    """Applied twice is harmless: even with its version row gone, the whole tenant rolls back to what it was."""
    revisions = extra("CREATE TABLE __tenant__.half (x int); CREATE TABLE __tenant__.fresh (x int)")
    assert roll_out(fresh_config, revisions, codes=["075418"]).outcome == "done"
    with closing(connect(fresh_config, "deploy")) as deploy:
        deploy.execute("DELETE FROM t075418.schema_version WHERE revision = %s", (revisions[-1].id,))
        deploy.execute("DROP TABLE t075418.half")
        deploy.commit()
        before = lines_of(deploy, "t075418")
    result = roll_out(fresh_config, revisions, codes=["075418"])
    with closing(connect(fresh_config, "deploy")) as deploy:
        assert lines_of(deploy, "t075418") == before
    assert result.outcome == "halted"
    assert [(f.code, f.sqlstate) for f in result.failed] == [("075418", "42P07")]


def test_a_failure_halts_the_fleet_and_the_next_run_goes_on(fleet_of_six: Config) -> None:
    """The first municipality of the second wave cannot take it: it keeps its old shape, the rest is not begun."""
    second = sorted(_codes(fleet_of_six))[1]
    with closing(connect(fleet_of_six, "deploy")) as deploy:
        deploy.execute(sql.SQL("CREATE TABLE {}.fresh (y int)").format(sql.Identifier(f"t{second}")))
        deploy.commit()
    revisions = extra("CREATE TABLE __tenant__.fresh (x int); CREATE TABLE __tenant__.fresh_too (x int)")
    halted = roll_out(fleet_of_six, revisions)
    assert halted.outcome == "halted"
    assert [(f.code, f.sqlstate) for f in halted.failed] == [(second, "42P07")]
    assert halted.remaining == 5
    assert len(_having(fleet_of_six, "fresh_too")) == 1
    with closing(connect(fleet_of_six, "deploy")) as deploy:
        deploy.execute(sql.SQL("DROP TABLE {}.fresh").format(sql.Identifier(f"t{second}")))
        deploy.commit()
        outcomes = deploy.execute("SELECT outcome FROM control.migration_run ORDER BY run_no DESC LIMIT 1").fetchone()
    assert outcomes == ("halted",)
    assert roll_out(fleet_of_six, revisions).outcome == "done"
    assert len(_having(fleet_of_six, "fresh_too")) == 6


def test_a_gate_that_stays_shut_halts_after_its_wave(fleet_of_six: Config) -> None:
    """Something is wrong with the first municipality after it moved: the others stay where they are."""
    shut = roll_out(fleet_of_six, extra("CREATE TABLE __tenant__.fresh (x int)"), gate=lambda _, w: [w[0].schema])
    assert shut.outcome == "halted"
    assert len(_having(fleet_of_six, "fresh")) == 1


def test_a_killed_runner_loses_nothing_and_repeats_nothing(fleet_of_six: Config) -> None:
    """kill -9 with the third wave under way: each schema is old or new, never between; the next run completes it."""
    text = "CREATE TABLE __tenant__.fresh (x int); SELECT pg_sleep(0.6); CREATE TABLE __tenant__.fresh_too (x int)"
    child = [sys.executable, str(Path(__file__).with_name("killed.py")), "migrate", "2"]
    killed = subprocess.run([*child, fleet_of_six.dsn_deploy, text], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    _wait_for_the_dead(fleet_of_six)
    half = _having(fleet_of_six, "fresh")
    assert 0 < len(half) < 6
    assert half == _having(fleet_of_six, "fresh_too")
    slow = Revision(id="9001", slug="slow", kind="expand", sql=text, fingerprint="slow")
    result = roll_out(fleet_of_six, (*REVISIONS, slow), workers=4)
    with closing(connect(fleet_of_six, "deploy")) as deploy:
        ledger = deploy.execute(
            "SELECT count(*), count(DISTINCT tenant_code) FROM control.migration_ledger WHERE revision = '9001'"
        ).fetchone()
    assert result.outcome == "done"
    assert len(result.applied) == 6 - len(half)
    assert ledger == (6, 6)
    assert len(_having(fleet_of_six, "fresh_too")) == 6


def _wait_for_the_dead(config: Config) -> None:
    """The server notices a killed client when its statement ends."""
    with closing(connect(config, "deploy", autocommit=True)) as deploy:
        for _ in range(1_000):
            others = deploy.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = 'juki_deploy' AND pid <> pg_backend_pid()"
            ).fetchone()
            if others == (0,):
                return
            time.sleep(0.1)
    pytest.fail("the killed runner's sessions are still there")


def test_a_busy_table_is_waited_for_and_tried_again(fresh_config: Config) -> None:
    """A counter that holds a lock for a moment does not halt the fleet."""
    hasty = msgspec.structs.replace(fresh_config, lock_timeout_seconds=0.2)
    with closing(connect(fresh_config, "deploy")) as holder:
        holder.execute("LOCK TABLE t072044.tenant_state IN SHARE MODE")
        threading.Timer(0.7, holder.rollback).start()
        result = roll_out(hasty, extra("ALTER TABLE __tenant__.tenant_state ADD COLUMN z int"), codes=["072044"])
        time.sleep(0.1)
    assert result.outcome == "done"


def test_two_runners_do_not_work_at_once(fresh_config: Config) -> None:
    """The second is told."""
    with closing(connect(fresh_config, "deploy")) as other:
        other.execute("SELECT pg_advisory_lock(19276, 1)")
        with pytest.raises(Conflict) as caught:
            roll_out(fresh_config, REVISIONS)
    assert caught.value.code == "migrate.running"


def test_a_revision_rewritten_after_it_was_applied_is_refused(config: Config) -> None:
    """History of a schema is not edited: the fingerprint in the schema tells."""
    first = msgspec.structs.replace(REVISIONS[0], fingerprint="another")
    with closing(connect(config, "deploy")) as deploy, pytest.raises(Misconfigured) as caught:
        plan(deploy, (first, *REVISIONS[1:]))
    assert caught.value.code == "migrate.rewritten"


def test_a_plan_names_only_known_municipalities(config: Config) -> None:
    """A typing error does not become a run over nobody."""
    with closing(connect(config, "deploy")) as deploy:
        assert plan(deploy, REVISIONS) == ()
        with pytest.raises(NotFound):
            plan(deploy, REVISIONS, ["131016"])


def test_a_suspended_municipality_moves_along(fresh_config: Config) -> None:
    """Suspension stops work, not the care of the schema: a later resume must not meet an old shape."""
    with closing(connect(fresh_config, "deploy")) as deploy:
        change_state(deploy, "075418", "suspended", actor="test")
    result = roll_out(fresh_config, extra("CREATE TABLE __tenant__.fresh (x int)"))
    assert sorted(step.code for step in result.applied) == ["072044", "075418"]


def test_drift_of_the_whole_fleet_is_one_question(fleet_of_six: Config) -> None:
    """A grant that nobody reviewed is found among six schemas."""
    codes = _codes(fleet_of_six)
    with closing(connect(fleet_of_six, "deploy")) as deploy:
        role, schema = f"t{codes[-1]}_registry", f"t{codes[-1]}"
        deploy.execute(
            sql.SQL("GRANT DELETE ON {}.audit_row TO {}").format(sql.Identifier(schema), sql.Identifier(role))
        )
        found = drifted(deploy, [f"t{code}" for code in codes], lines_of(deploy, "t072044"))
        assert expected("tenant")[0].startswith("column ")
    assert found == {schema: ["+ grant DELETE ON audit_row TO __tenant___registry"]}


@pytest.mark.parametrize(
    "text",
    [
        "CREATE UNLOGGED TABLE __tenant__.x (y int)",
        "CREATE TABLE __tenant__.x (y bigserial)",
        "CREATE EXTENSION pgcrypto",
        "CREATE INDEX CONCURRENTLY ON __tenant__.x (y)",
        "GRANT SELECT ON __tenant__.x TO PUBLIC",
        "GRANT TRUNCATE ON __tenant__.x TO __tenant___registry",
        "SET search_path = x",
        "CREATE FUNCTION __tenant__.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "COMMIT",
    ],
)
def test_a_revision_that_would_hurt_is_refused_before_it_runs(text: str) -> None:
    """The lint reads statements, not comments and not texts."""
    assert lint(text) != []
    assert lint(f"-- {text}\nCOMMENT ON TABLE __tenant__.x IS '{text.replace(chr(39), chr(39) * 2)}'") == []


def test_every_revision_of_this_repository_is_rendered_and_clean() -> None:
    """Numbers follow each other and each says what kind it is."""
    for tree in ("control", "tenant"):
        ids = [revision.id for revision in load_tree(tree)]
        assert ids == [f"{number:04d}" for number in range(1, len(ids) + 1)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("revision='0001'\ndown_revision=None\ndef upgrade(): pass", "migrate.kind"),
        ("revision='0001'\ndown_revision='0000'\nkind='expand'\ndef upgrade(): pass", "migrate.chain"),
    ],
)
def test_a_broken_tree_is_named(tmp_path: Path, body: str, code: str) -> None:
    """A missing kind or a gap in the chain stops the runner before it touches anything."""
    folder = tmp_path / "tenant" / "versions"
    folder.mkdir(parents=True)
    (folder / "0001_x.py").write_text(body)
    with pytest.raises(Misconfigured) as caught:
        load_tree("tenant", tmp_path)
    assert caught.value.code == code


def test_a_server_that_goes_away_in_the_middle_is_a_failed_step(fresh_config: Config, server: str) -> None:
    """The runner reports and halts; nothing is half applied."""

    text = f"CREATE TABLE __tenant__.fresh (x int); SELECT pg_sleep(60), '{fresh_config.home}'"  # nobody else's sleep

    def cut() -> None:
        found: list[object] = []
        with psycopg.connect(server, autocommit=True) as admin:
            while not found:  # as soon as it runs, and not by the clock
                time.sleep(0.05)
                found = admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE strpos(query, %s) > 0 AND state = 'active' AND wait_event = 'PgSleep'"
                    " AND pid <> pg_backend_pid()",
                    (fresh_config.home,),
                ).fetchall()

    cutting = threading.Thread(target=cut, daemon=True)
    cutting.start()
    result = roll_out(fresh_config, extra(text), codes=["075418"])
    cutting.join(60)
    assert [failed.sqlstate for failed in result.failed] == ["57P01"]
    assert _having(fresh_config, "fresh") == []
