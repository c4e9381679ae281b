"""標準レイアウト: everything the register holds of one municipality as CSV files and a manifest, and what each file is.

UTF-8, RFC 4180, CRLF, a header with item paths. Three files are cut into items (residents with all versions, changes,
支援措置); the others are tables of the platform carried row by row, opened values in base64 under the column's own name.
Documented in docs/adr/0006; made to be read by another system and to be taken back here without loss.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from juki.certificates.model import SEALED as CERTIFICATE_SEALED
from juki.legacy.flat import Flat
from juki.legacy.model import SEALED as LEGACY_SEALED
from juki.problem import Invalid, Unavailable
from juki.registry.model import SEALED as REGISTRY_SEALED
from juki.registry.model import Event, Measure, Record

LAYOUT: Final = "juki-standard"
LAYOUT_VERSION: Final = 1
MANIFEST: Final = "manifest.json"

RESIDENTS: Final = Flat(Record)
EVENTS: Final = Flat(Event)
MEASURES: Final = Flat(Measure)
RESIDENTS_FILE: Final = "residents.csv"
EVENTS_FILE: Final = "events.csv"
MEASURES_FILE: Final = "support_measures.csv"
HOUSEHOLDS_FILE: Final = "households.csv"

HOUSEHOLD_COLUMNS: Final = ("setai_no", "head_atena_no", "members")

TABLES: Final[dict[str, tuple[str, ...]]] = {
    "suppression": ("suppression_no",),
    "suppression_release": ("suppression_no", "release_no"),
    "loosening": ("loosening_no",),
    "loosening_step": ("loosening_no", "step_no"),
    "resident_code_stock": ("stock_no",),
    "resident_code_use": ("stock_no",),
    "number_request": ("atena_no", "request_no", "step"),
    "change_case": ("case_no",),
    "case_step": ("case_no", "step_no"),
    "certificate_application": ("application_no",),
    "certificate_issue": ("issue_no",),
    "certificate_person": ("issue_no", "atena_no"),
    "certificate_disposal": ("issue_no",),
    "import_medium": ("medium_no",),
    "import_medium_step": ("medium_no", "step_no"),
    "import_run": ("run_no",),
    "import_chunk": ("chunk_key",),
    "import_end": ("run_no",),
    "import_original": ("original_no",),
    "import_reject": ("entry_no",),
    "import_decision": ("entry_no",),
}
"""Tables carried row by row, each with its key, in an order in which they can be filled."""

SEALED_OF: Final[dict[tuple[str, str], tuple[str, str, str]]] = {
    (table, column): (group, key, version)
    for table, group, key, version, column in (*REGISTRY_SEALED, *CERTIFICATE_SEALED, *LEGACY_SEALED)
}
"""(table, sealed column) -> group, key column, row version (a column, or a number that is always the same)."""

Sink = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens one file of an export for writing, by name."""

Reader = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens one file of an export for reading, by name; a missing one raises FileNotFoundError."""


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file: what the receiver can count and hash again."""

    name: str
    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """引渡し目録: layout, municipality, counts and digests; written last, so an export without one is unfinished."""

    layout: str
    layout_version: int
    municipality: str
    made_at: dt.datetime
    files: tuple[ManifestFile, ...]
    residents: int
    current_residents: int
    households: int

    def of(self, name: str) -> ManifestFile | None:
        """One file by name."""
        return next((file for file in self.files if file.name == name), None)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """照合: whether two holdings are equal file by file, and in which files they are not."""

    equal: bool
    rows: Mapping[str, int]
    differences: tuple[str, ...]


def folder_sink(folder: Path) -> Sink:
    """Files of an export in a folder, readable by the owner only. Unavailable `legacy.export_unwritable`."""

    def open_file(name: str) -> AbstractContextManager[BinaryIO]:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = folder / name
            path.touch(mode=0o600)
            return path.open("wb")
        except OSError as e:
            raise Unavailable(
                "legacy.export_unwritable", f"{folder}: {e.strerror}", remedy="name another folder"
            ) from None

    return open_file


def folder_reader(folder: Path) -> Reader:
    """Files of an export read back from a folder."""
    return lambda name: (folder / name).open("rb")


def read_manifest(reader: Reader) -> Manifest:
    """The manifest of an export; Invalid `legacy.manifest_*` where it is missing, broken or of another layout."""
    try:
        with reader(MANIFEST) as file:
            manifest = msgspec.json.decode(file.read(), type=Manifest)
    except FileNotFoundError:
        raise Invalid(
            "legacy.manifest_missing",
            f"no {MANIFEST}: the export is unfinished or elsewhere",
            remedy="name the folder of a whole export",
        ) from None
    except msgspec.DecodeError as e:
        raise Invalid(
            "legacy.manifest_unreadable", f"{MANIFEST}: {e}", remedy="take the export again; this one is damaged"
        ) from None
    if manifest.layout != LAYOUT or manifest.layout_version != LAYOUT_VERSION:
        raise Invalid("legacy.other_layout", f"not {LAYOUT} {LAYOUT_VERSION}")
    return manifest


def compare_manifests(one: Manifest, other: Manifest) -> Comparison:
    """Equal where every file of both has the same rows and the same digest."""
    names = sorted({f.name for f in one.files} | {f.name for f in other.files})
    differing = tuple(name for name in names if one.of(name) != other.of(name))
    return Comparison(equal=not differing, rows={f.name: f.rows for f in one.files}, differences=differing)
