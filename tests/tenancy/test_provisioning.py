"""団体の受け入れ: repeated, interrupted, misdescribed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from juki.config import Config
from juki.numbers import municipality_check_digit
from juki.problem import Conflict, Invalid, Misconfigured, NotFound, Refused
from juki.tenancy import add, change_state, check, connect, find, list_tenants, read_file, rotate_kms
from juki.tenancy.directory import Keys, Retention
from juki.tenancy.provisioning import PROVISIONING_LOCK
from juki.vault import KeyState, WrappedRoot, open_kms, rewrap

TENANTS = Path(__file__).resolve().parents[2] / "tenants"
HIRONO = TENANTS / "075418-hirono.toml"


def test_a_second_run_changes_nothing(config: Config) -> None:
    """Adding a municipality that is here already is harmless and says so."""
    with closing(connect(config, "deploy")) as deploy:
        before = find(deploy, "075418")
        result = add(deploy, open_kms(config.kms_spec), read_file(HIRONO), actor="test")
        after = find(deploy, "075418")
        events = deploy.execute("SELECT count(*) FROM control.tenant_event WHERE tenant_code = '075418'").fetchone()
    assert (result.state, result.done) == ("active", ())
    assert after == before
    assert events == (2,)


@pytest.mark.parametrize(
    "point",
    [
        "registered",
        "key made, not noted",
        "key noted",
        "half of the roots",
        "roots wrapped",
        "roles made",
        "schema built",
    ],
)
def test_a_killed_provisioning_is_completed_by_running_it_again(fresh_config: Config, point: str) -> None:
    """kill -9 at every seam: one key, one schema, every check green, and a third run does nothing."""
    kms_folder = fresh_config.kms_spec.removeprefix("local:")
    code = "912344"
    child = [sys.executable, str(Path(__file__).with_name("killed.py")), "provision", point, code]
    killed = subprocess.run([*child, fresh_config.dsn_deploy, kms_folder], capture_output=True, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    kms = open_kms(fresh_config.kms_spec)
    file = msgspec.structs.replace(read_file(HIRONO), code=code, keys=Keys(alias=f"juki/{code}"))
    with closing(connect(fresh_config, "deploy")) as deploy:
        completed = add(deploy, kms, file, actor="test")
        faults = [finding for finding in check(deploy, kms, code) if finding.fault]
        again = add(deploy, kms, file, actor="test")
        tenant = find(deploy, code)
    aliases = [json.loads(path.read_text())["alias"] for path in Path(kms_folder, "keys").glob("*.json")]
    assert completed.state == "active"
    assert completed.done
    assert faults == []
    assert again.done == ()
    assert aliases.count(tenant.settings.keys.alias) == 1


def test_two_runs_at_once_do_not_meet(fresh_config: Config) -> None:
    """The second hears that the first is at work."""
    kms = open_kms(fresh_config.kms_spec)
    with closing(connect(fresh_config, "deploy")) as first, closing(connect(fresh_config, "deploy")) as second:
        first.execute("SELECT pg_advisory_lock(%s, 75418)", (PROVISIONING_LOCK,))
        with pytest.raises(Conflict) as caught:
            add(second, kms, read_file(HIRONO), actor="test")
    assert caught.value.code == "tenant.in_progress"


def test_changed_settings_are_taken_over_and_noted(fresh_config: Config) -> None:
    """A new 町長 is a settings change in the ledger, not a new municipality."""
    file = read_file(HIRONO)
    newer = msgspec.structs.replace(file, head=msgspec.structs.replace(file.head, name="新町　次郎"))
    with closing(connect(fresh_config, "deploy")) as deploy:
        result = add(deploy, open_kms(fresh_config.kms_spec), newer, actor="test")
        tenant = find(deploy, "075418")
    assert result.done == ("settings",)
    assert tenant.head_name == "広野町長 新町　次郎"


def test_what_only_a_merger_changes_is_refused(config: Config) -> None:
    """Name, key alias and shorter retention do not slip in by a file."""
    file, kms = read_file(HIRONO), open_kms(config.kms_spec)
    with closing(connect(config, "deploy")) as deploy:
        for changed, code in (
            (msgspec.structs.replace(file, name="別の町"), "tenant.differs"),
            (msgspec.structs.replace(file, keys=Keys(alias="other")), "tenant.key_alias"),
            (msgspec.structs.replace(file, retention=Retention(removed_resident_years=5)), "tenant.retention"),
        ):
            with pytest.raises((Conflict, Refused)) as caught:
                add(deploy, kms, changed, actor="test")
            assert caught.value.code == code
        assert find(deploy, "075418").settings.keys.alias == file.keys.alias


@pytest.mark.parametrize(
    ("line", "better", "named"),
    [
        ('code = "075418"', 'code = "075419"', "code"),
        ('code = "075418"', 'code = "075419"', "075418?"),
        ('code = "075418"', 'kode = "075418"', "kode: no such key (did you mean `code`?)"),
        ('name = "双葉郡広野町"', "name = 3", "name: expected `str`, got `int`"),
        ("[seal]", "[seall]", "seall: no such key (did you mean `seal`?)"),
        ('opens = "08:30"', 'opens = "18:30"', "hours.closes: expected a time after hours.opens"),
        ('"12-29"', '"12-32"', "hours.holidays: expected days as MM-DD or YYYY-MM-DD, found `12-32`"),
        ('alias = "juki/075418"', 'alias = ""', "keys.alias: expected a text"),
        ('alias = "juki/075418"', 'alias = "juki/platform"', "keys.alias: expected an alias of the municipality"),
        ('alias = "juki/075418"', 'alias = "alias/juki/platform"', "keys.alias: expected an alias of the municipality"),
        ('alias = "juki/075418"', 'alias = "juki/scratch/1"', "keys.alias: expected an alias of the municipality"),
        ('name_kana = "ふたばぐんひろのまち"', "", "name_kana"),
        ("size_mm = 21.0", 'size_mm = "big"', "size_mm"),
        ("days = [1, 2, 3, 4, 5]", "days = [0, 8]", "hours.days"),
        ('id = "HRN-HON-02"', 'id = "HRN-HON-01"', "terminals.id"),
        ('name = "総務課"\noffice = "0000"', 'name = "総務課"\noffice = "9999"', "departments.office"),
        ("[head]", "[head", "not TOML"),
        ('opens = "08:30"', 'opens = "8時半"', "hours.opens"),
    ],
)
def test_a_wrong_file_is_refused_by_the_name_of_its_key(tmp_path: Path, line: str, better: str, named: str) -> None:
    """Wrong tenant file: one clear message that names the key."""
    text = HIRONO.read_text(encoding="utf-8")
    assert line in text
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace(line, better, 1), encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        read_file(wrong)
    assert caught.value.code == "tenant.file"
    assert named in str(caught.value)
    assert str(wrong) in str(caught.value)
    assert caught.value.remedy


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    """Unreadable and undecodable are the same kind of answer."""
    (tmp_path / "sjis.toml").write_bytes('name = "広野"'.encode("cp932"))
    for name in ("nowhere.toml", "sjis.toml"):
        with pytest.raises(Invalid, match=name):
            read_file(tmp_path / name)


@pytest.mark.parametrize("path", sorted(TENANTS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_file_handed_in_is_sound(path: Path) -> None:
    """The files of this repository pass their own check and are named by their code."""
    assert path.stem.startswith(read_file(path).code)


def test_states_follow_their_order(fresh_config: Config, newcomer: Callable[[Config], str]) -> None:
    """No way back from erased, none from active to provisioning, and each step has its own epoch and line."""
    code = newcomer(fresh_config)
    with closing(connect(fresh_config, "deploy")) as deploy:
        with pytest.raises(Conflict):
            change_state(deploy, code, "registered", actor="test")
        epochs = [change_state(deploy, code, to, actor="test").epoch for to in ("suspended", "leaving", "erased")]
        with pytest.raises(Conflict):
            change_state(deploy, code, "active", actor="test")
        with pytest.raises(NotFound):
            change_state(deploy, "131016", "suspended", actor="test")
        deploy.rollback()
        told = deploy.execute(
            "SELECT from_state, to_state FROM control.tenant_event WHERE tenant_code = %s ORDER BY event_no", (code,)
        ).fetchall()
    assert epochs == [3, 4, 5]
    assert told[-3:] == [("active", "suspended"), ("suspended", "leaving"), ("leaving", "erased")]


def test_everything_that_is_missing_is_named_at_once_with_what_is_expected(tmp_path: Path) -> None:
    """An empty file is one list, not twelve runs."""
    (tmp_path / "empty.toml").touch()
    with pytest.raises(Invalid) as caught:
        read_file(tmp_path / "empty.toml")
    for key, expected in (
        ("seal", "a [seal] table"),
        ("offices", "one or more [[offices]] tables"),
        ("code", "a text"),
    ):
        assert caught.value.fields[key] == f"missing, expected {expected}"


@pytest.mark.parametrize("other", ["not there", "empty folder", "another store"])
def test_a_key_store_that_knows_nobody_here_is_refused_before_anything_is_done(
    fresh_config: Config, tmp_path: Path, other: str
) -> None:
    """R-1-2.6-RET-05: a lost or mistaken key store is never quietly replaced by a new one."""
    place = tmp_path / "elsewhere"
    if other != "not there":
        place.mkdir()
    if other == "another store":
        open_kms(f"local:{place}").create_key("juki/somebody")
    before = sorted(path.name for path in place.rglob("*"))
    body = "91000"
    code = f"{body}{municipality_check_digit(body)}"
    file = msgspec.structs.replace(read_file(HIRONO), code=code, name="試験町", keys=Keys(alias=f"juki/{code}"))
    with closing(connect(fresh_config, "deploy")) as deploy:
        for each in (file, read_file(HIRONO)):
            with pytest.raises(Misconfigured) as caught:
                add(deploy, open_kms(f"local:{place}"), each, actor="test")
            assert caught.value.code == "tenant.other_kms"
            assert "JUKI_KMS" in caught.value.remedy
        assert code not in [tenant.code for tenant in list_tenants(deploy)]
        assert add(deploy, open_kms(fresh_config.kms_spec), read_file(HIRONO), actor="test").done == ()
    assert place.exists() == (other != "not there")
    assert sorted(path.name for path in place.rglob("*")) == before


def test_two_municipalities_never_share_a_kms_key(fresh_config: Config, newcomer: Callable[[Config], str]) -> None:
    """R-1-3.6-TEN-01: a copied file with the neighbour's alias is refused before anything is wrapped, and can be mended."""
    neighbour = newcomer(fresh_config)
    kms = open_kms(fresh_config.kms_spec)
    body = "91001"
    code = f"{body}{municipality_check_digit(body)}"
    with closing(connect(fresh_config, "deploy")) as deploy:
        theirs = find(deploy, neighbour)
        file = msgspec.structs.replace(read_file(HIRONO), code=code, name="写しの町", keys=theirs.settings.keys)
        for state in ("active", "erased"):
            if state == "erased":  # a key that waits for its deletion is not taken over either
                change_state(deploy, neighbour, "leaving", actor="test")
                change_state(deploy, neighbour, "erased", actor="test")
            with pytest.raises(Conflict) as caught:
                add(deploy, kms, file, actor="test")
            assert (caught.value.code, neighbour in str(caught.value)) == ("tenant.key_shared", True)
            assert find(deploy, code).key_id == ""
        mended = msgspec.structs.replace(file, keys=Keys(alias=f"juki/{code}"))
        assert add(deploy, kms, mended, actor="test").state == "active"
        assert find(deploy, code).key_id not in ("", theirs.key_id)


def test_a_key_that_two_had_by_mistake_is_named_and_stays_with_the_other(
    fresh_config: Config, newcomer: Callable[[Config], str]
) -> None:
    """R-1-3.6-TEN-01: `tenant check` tells it, turning the KMS key parts them, and nobody's key is disabled by that."""
    code = newcomer(fresh_config)
    kms = open_kms(fresh_config.kms_spec)
    with closing(connect(fresh_config, "deploy")) as deploy:
        shared = find(deploy, "075418").key_id
        roots = deploy.execute(
            "SELECT purpose, version, key_id, blob, commitment FROM control.wrapped_root WHERE tenant_code = %s",
            (code,),
        ).fetchall()
        for purpose, version, key_id, blob, commitment in roots:
            wrapped = WrappedRoot(
                tenant=code, purpose=purpose, version=version, key_id=key_id, blob=blob, commitment=commitment
            )
            deploy.execute(
                "UPDATE control.wrapped_root SET key_id = %s, blob = %s WHERE tenant_code = %s AND purpose = %s",
                (shared, rewrap(kms, wrapped, shared).blob, code, purpose),
            )
        deploy.execute("UPDATE control.tenant SET key_id = %s WHERE code = %s", (shared, code))
        deploy.commit()
        said = next(finding.fault for finding in check(deploy, kms, code) if finding.what == "KMS key")
        deploy.commit()
        rotate_kms(fresh_config, kms, code, actor="test", tell=lambda _: None)
        parted = [finding.fault for finding in check(deploy, kms, code) if finding.what == "KMS key"]
    assert said == "shared with 075418 (run `juki rotate kms` for one of them)"
    assert (parted, kms.state(shared)) == ([""], KeyState.ENABLED)


@pytest.mark.parametrize("state", ["leaving", "active"])
def test_what_is_gone_from_a_municipality_that_had_moved_in_is_not_made_anew(
    fresh_config: Config, newcomer: Callable[[Config], str], state: str
) -> None:
    """SP 800-88 3.1: destroyed roots stay destroyed, and a lost one is a fault to be found, never replaced in silence."""
    code = newcomer(fresh_config)
    with closing(connect(fresh_config, "deploy")) as deploy:
        tenant = find(deploy, code)
        if state == "leaving":
            change_state(deploy, code, "leaving", actor="test")
        deploy.execute("DELETE FROM control.wrapped_root WHERE tenant_code = %s", (code,))
        deploy.execute(f'DROP SCHEMA "{tenant.schema}" CASCADE')
        deploy.commit()
        file = msgspec.structs.replace(read_file(HIRONO), code=code, name=tenant.name, keys=tenant.settings.keys)
        again = add(deploy, open_kms(fresh_config.kms_spec), file, actor="test")
        left = deploy.execute("SELECT count(*) FROM control.wrapped_root WHERE tenant_code = %s", (code,)).fetchone()
        faults = {finding.what for finding in check(deploy, open_kms(fresh_config.kms_spec), code) if finding.fault}
    assert (again.state, again.done) == (state, ())
    assert left == (0,)
    assert {"wrapped roots", "home and directory agree"} <= faults
