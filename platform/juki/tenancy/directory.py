"""テナント台帳: which municipalities live here, in which state, under which epoch and key."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from juki.numbers import is_municipality_code, municipality_check_digit
from juki.problem import Invalid

State: TypeAlias = Literal["registered", "provisioning", "migrating", "active", "suspended", "leaving", "erased"]

_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DAY: Final = re.compile(r"([0-9]{4}-)?[0-9]{2}-[0-9]{2}", re.ASCII)

OPEN_STATES: Final[frozenset[str]] = frozenset({"migrating", "active"})
"""States in which staff and machines may work."""

TENANT_COLUMNS: Final = "code, name, prefecture, schema_name, cell, state, epoch, key_id, settings, seal_version, index_active, index_pending"


class Office(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """庁舎: 本庁, 支所, 出張所."""

    code: str
    name: str
    postal_code: str = ""
    address: str = ""
    telephone: str = ""


class Terminal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """端末: a registered terminal, the office it stands in and what it may be used for."""

    id: str
    office: str
    place: str
    functions: list[str]


class Hours(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """業務時間: local time, `HH:MM`; days are ISO weekdays, 1 = 月曜日."""

    opens: str
    closes: str
    days: list[int]
    holidays: list[str] = []


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """市区町村長 as certificates print it."""

    title: str
    name: str


class Seal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """公印: text of the printed seal, read from top right downwards; `picture` is its impression as SVG where there is one."""

    text: str
    size_mm: float = 24.0
    picture: str = ""


class Numbering(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """番号の規則: how this municipality numbers people and papers."""

    atena_digits: int = 10
    setai_digits: int = 10
    resident_code_check: Literal["none", "mod11-w2to7"] = "none"
    issue_prefix: str = ""


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """保存期間: years; a floor that no later setting may shorten."""

    removed_resident_years: int = 150
    audit_log_years: int = 7
    application_years: int = 1


class Fees(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """手数料: yen per copy."""

    resident_record: int
    record_of_matters: int
    removed_record: int


class Department(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """課・係 that appears in accounts and disclosures."""

    code: str
    name: str
    office: str


PLATFORM_ALIAS: Final = "juki/platform"
"""Alias of the KMS key under which the platform's own signing root is wrapped."""
_NOT_A_TENANTS: Final = (PLATFORM_ALIAS, "juki/scratch")
"""Aliases, with what is below them, under which the platform finds keys of its own again."""


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """鍵: the alias under which the municipality's KMS key is created."""

    alias: str


class DeclaredBackup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """控え: a copy kept outside this system, and for how many days after its making."""

    name: str
    place: str
    keep_days: int
    keys_included: bool = False


class Leaving(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """利用終了: days between export and erasure, days until the KMS key is destroyed (7 to 30), copies kept elsewhere."""

    grace_days: int = 30
    grace_may_be_waived: bool = False
    key_deletion_days: int = 30
    backups: list[DeclaredBackup] = []


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a municipality decides for itself; no secrets."""

    name_kana: str
    head: Head
    seal: Seal
    hours: Hours
    keys: Keys
    fees: Fees
    offices: list[Office]
    departments: list[Department]
    terminals: list[Terminal]
    numbering: Numbering = Numbering()
    retention: Retention = Retention()
    leaving: Leaving = Leaving()
    glyphs: dict[str, str] = {}  # 外字 "U+E000" -> its outline as SVG, for papers
    incumbent_layout: str = ""


class TenantFile(Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`tenants/*.toml`: one municipality as it is handed in."""

    code: str
    name: str
    prefecture: str
    cell: str = "default"


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """団体: one row of the directory."""

    code: str
    name: str
    prefecture: str
    schema: str
    cell: str
    state: State
    epoch: int
    key_id: str
    settings: Settings
    seal_version: int
    index_active: Literal["a", "b"]
    index_pending: Literal["a", "b"] | None = None

    @property
    def head_name(self) -> str:
        """市区町村長: title and name as certificates print them."""
        return f"{self.settings.head.title} {self.settings.head.name}"


def tenant_of(row: tuple[Any, ...]) -> Tenant:
    """A row of TENANT_COLUMNS as a value."""
    code, name, prefecture, schema, cell, state, epoch, key_id, settings, seal_version, active, pending = row
    return Tenant(
        code=code,
        name=name,
        prefecture=prefecture,
        schema=schema,
        cell=cell,
        state=state,
        epoch=epoch,
        key_id=key_id,
        settings=msgspec.convert(settings, Settings),
        seal_version=seal_version,
        index_active=active,
        index_pending=pending,
    )


def read_file(path: Path) -> TenantFile:
    """A tenant file, checked; Invalid `tenant.file` names the file, each key that is wrong and what is expected there."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as e:
        raise Invalid("tenant.file", f"{path} is not UTF-8 text", remedy="save it as UTF-8") from e
    except OSError as e:
        raise Invalid(
            "tenant.file", f"cannot read {path} ({e.strerror})", remedy="name an existing, readable TOML file"
        ) from e
    except tomllib.TOMLDecodeError as e:
        raise Invalid("tenant.file", f"{path} is not TOML: {e}", remedy="correct the line named") from e
    if strange := [name for name in raw if name not in TenantFile.__struct_fields__]:
        raise _wrong(path, {name: f"no such key{_meant(name)}" for name in strange})
    if missing := [name for name in _REQUIRED if name not in raw]:
        raise _wrong(path, {name: f"missing, expected {_expected(name)}" for name in missing})
    try:
        file = msgspec.convert(raw, TenantFile)
    except msgspec.ValidationError as e:
        message, _, place = str(e).partition(" - at `")
        key = place.removeprefix("$").removeprefix(".").removesuffix("`")
        raise _wrong(path, {key or "(top)": f"{message[:1].lower()}{message[1:]}"}) from e
    if faults := _faults(file):
        raise _wrong(path, faults)
    return file


_REQUIRED: Final = tuple(field.name for field in msgspec.structs.fields(TenantFile) if field.required)


def _expected(name: str) -> str:
    kind: Any = next(field.type for field in msgspec.structs.fields(TenantFile) if field.name == name)
    if getattr(kind, "__origin__", None) is list:
        return f"one or more [[{name}]] tables"
    return f"a [{name}] table" if hasattr(kind, "__struct_fields__") else "a text"


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name, TenantFile.__struct_fields__, n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""


def _wrong(path: Path, faults: dict[str, str]) -> Invalid:
    named = "; ".join(f"{key}: {rule}" for key, rule in faults.items())
    return Invalid(
        "tenant.file",
        f"{path}: {named}",
        remedy="correct what is named; tenants/072044-iwaki.toml is a complete example",
        fields=faults,
    )


def _faults(file: TenantFile) -> dict[str, str]:
    """Key -> what is expected there, for everything that the types alone do not say."""
    faults = _hours_faults(file.hours) | _numbers_faults(file)
    if not is_municipality_code(file.code):
        faults["code"] = f"expected six digits of which the last is the check digit{_right_code(file.code)}"
    offices = {office.code for office in file.offices}
    if not offices:
        faults["offices"] = "expected at least one office"
    for part in ("departments", "terminals"):
        for entry in getattr(file, part):
            if entry.office not in offices:
                faults[f"{part}.office"] = f"expected the code of one of the [[offices]], found `{entry.office}`"
    if len({t.id for t in file.terminals}) != len(file.terminals):
        faults["terminals.id"] = "expected a different id for each terminal"
    for key, text in {"name": file.name, "seal.text": file.seal.text, "keys.alias": file.keys.alias}.items():
        if not text.strip():
            faults[key] = "expected a text that is not empty"
    alias = file.keys.alias.removeprefix("alias/")
    if any(f"{alias}/".startswith(f"{taken}/") for taken in _NOT_A_TENANTS):
        faults["keys.alias"] = f"expected an alias of the municipality, {alias} is the platform's"
    return faults


def _hours_faults(hours: Hours) -> dict[str, str]:
    faults: dict[str, str] = {}
    if not hours.days or not all(1 <= day <= 7 for day in hours.days):
        faults["hours.days"] = "expected weekdays from 1 (月曜日) to 7 (日曜日)"
    for part in ("opens", "closes"):
        if _TIME.fullmatch(getattr(hours, part)) is None:
            faults[f"hours.{part}"] = 'expected a time as HH:MM, for example "08:30"'
    if not faults and hours.opens >= hours.closes:
        faults["hours.closes"] = "expected a time after hours.opens"
    if wrong := [day for day in hours.holidays if not _is_day(day)]:
        faults["hours.holidays"] = f"expected days as MM-DD or YYYY-MM-DD, found `{wrong[0]}`"
    return faults


def _numbers_faults(file: TenantFile) -> dict[str, str]:
    faults: dict[str, str] = {}
    if file.leaving.grace_days < 0:
        faults["leaving.grace_days"] = "expected 0 or more days"
    if not 7 <= file.leaving.key_deletion_days <= 30:
        faults["leaving.key_deletion_days"] = "expected 7 to 30 days"
    if not 0 < file.seal.size_mm <= 60:
        faults["seal.size_mm"] = "expected millimetres above 0, at most 60"
    if any(getattr(file.fees, name) < 0 for name in Fees.__struct_fields__):
        faults["fees"] = "expected 0 or more yen"
    return faults


def _is_day(text: str) -> bool:
    if _DAY.fullmatch(text) is None:
        return False
    try:
        dt.date.fromisoformat(text if len(text) > 5 else f"2000-{text}")
    except ValueError:
        return False
    return True


def _right_code(code: str) -> str:
    body = code[:5]
    return f", {body}{municipality_check_digit(body)}?" if len(code) == 6 and body.isdecimal() else ""


def settings_of(file: TenantFile) -> dict[str, Any]:
    """The part of a tenant file that lives in the settings column."""
    everything: dict[str, Any] = msgspec.to_builtins(file)
    return {name: everything[name] for name in Settings.__struct_fields__}
