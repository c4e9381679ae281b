"""移行レイアウト: how a vendor's files are cut into items and where each item goes. A TOML file that staff may change.

A mapping that makes no sense stops the import before the first row is read, naming the file and the field.
"""

from __future__ import annotations

import hashlib
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

import msgspec

from juki.legacy.paths import PATHS_OF, WORDS_OF, FieldType
from juki.problem import Misconfigured

FileKind = Literal["resident", "household", "support", "notes", "stock", "gaiji"]
MAX_FIELDS: Final = 400


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """項目: printed name, destination and type; `at` (from 1) and `width` in bytes for fixed-length files."""

    title: str
    to: str  # item path, or "-" for an item that is read past and kept with the original bytes only
    type: FieldType = "text"
    at: int = 0
    width: int = 0
    codes: str = ""
    unknown: bool = False  # date: unknown or impossible days are allowed
    required: bool = False


class FileLayout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of file; several names where the same rows come in several files."""

    names: tuple[str, ...]
    earlier: tuple[str, ...] = ()  # those of `names` that hold earlier versions only: a person needs a row in another
    kind: FileKind
    fields: tuple[Field, ...]
    length: int = 0  # bytes of a row without the line end, fixed-length files only
    optional: bool = False


class Layout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """移行レイアウト of one vendor's extract."""

    name: str
    title: str
    form: Literal["fixed", "csv"]
    encoding: Literal["cp932", "utf-8"]
    file: tuple[FileLayout, ...]
    codes: dict[str, dict[str, str]] = {}
    max_line_bytes: int = 8192
    max_lines_per_row: int = 20
    max_file_bytes: int = 8 << 30
    digest: str = ""

    def of_kind(self, kind: FileKind) -> FileLayout | None:
        """The files of a kind, None where the layout has none."""
        return next((f for f in self.file if f.kind == kind), None)


def built_in() -> tuple[str, ...]:
    """Names of the layouts that come with the program."""
    folder = files("juki.legacy") / "layouts"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name: str) -> Layout:
    """A layout by built-in name or by path of a TOML file; Misconfigured `legacy.layout_*` says what is wrong with it."""
    raw = _read(name)
    try:
        given = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise Misconfigured("legacy.layout_not_toml", f"layout {name}: {e}") from None
    try:
        layout = msgspec.convert({**given, "digest": hashlib.sha256(raw).hexdigest()}, Layout)
    except msgspec.ValidationError as e:
        raise Misconfigured("legacy.layout_wrong", f"layout {name}: {e}") from None
    for file in layout.file:
        _check_file(layout, file)
    names = [name for file in layout.file for name in file.names]
    if len(set(names)) != len(names):
        raise Misconfigured("legacy.layout_wrong", f"layout {name} reads a file twice")
    if layout.of_kind("resident") is None:
        raise Misconfigured("legacy.layout_wrong", f"layout {name} has no file of residents")
    return layout


def _read(name: str) -> bytes:
    if name in built_in():
        return (files("juki.legacy") / "layouts" / f"{name}.toml").read_bytes()
    path = Path(name)
    if not path.suffix:
        raise Misconfigured(
            "legacy.layout_unknown", f"no layout named {name}", remedy=f"use one of {', '.join(built_in())} or a file"
        )
    try:
        return path.read_bytes()
    except OSError as e:
        raise Misconfigured(
            "legacy.layout_unreadable",
            f"layout {name}: {e.strerror}",
            remedy="name a readable TOML file, or one of `juki legacy layouts`",
        ) from None


def _check_file(layout: Layout, file: FileLayout) -> None:
    where = f"layout {layout.name}, file {file.names[0] if file.names else '?'}"
    if not file.names or not file.fields or len(file.fields) > MAX_FIELDS:
        raise Misconfigured("legacy.layout_wrong", f"{where}: needs a name and 1 to {MAX_FIELDS} fields")
    if any("/" in name or "\\" in name or name.startswith(".") for name in file.names):
        raise Misconfigured("legacy.layout_wrong", f"{where}: a file name without folders")
    if not {*file.earlier} <= {*file.names}:
        raise Misconfigured("legacy.layout_wrong", f"{where}: earlier names a file that is not among its names")
    _check_once(where, file)
    known = PATHS_OF[file.kind]
    for field in file.fields:
        if field.to != "-" and field.to not in known:
            raise Misconfigured("legacy.layout_wrong", f"{where}, {field.title}: no item {field.to}")
        if field.to != "-" and field.type not in known[field.to]:
            allowed = ", ".join(sorted(known[field.to]))
            raise Misconfigured("legacy.layout_wrong", f"{where}, {field.title}: type must be one of {allowed}")
        if field.type in {"code", "chain"} and field.codes not in layout.codes:
            raise Misconfigured(
                "legacy.layout_wrong", f"{where}, {field.title}: no code table {field.codes or '(none)'}"
            )
        if field.type == "code" and field.to in WORDS_OF:
            _check_words(where, field, layout.codes[field.codes])
        if layout.form == "fixed" and file.kind != "gaiji":
            _check_place(where, file, field)
    _check_needed(where, file)


def _check_once(where: str, file: FileLayout) -> None:
    """No title twice, and no item from two columns but the date of birth, which may be written in two ways."""
    titles = [field.title for field in file.fields]
    paths = [field.to for field in file.fields if field.to not in {"-", "basic.birth"}]
    for given in (titles, paths):
        twice = next((one for one in given if given.count(one) > 1), None)
        if twice is not None:
            raise Misconfigured("legacy.layout_wrong", f"{where}: two fields for {twice}")


def _check_words(where: str, field: Field, table: dict[str, str]) -> None:
    unknown = next((word for word in table.values() if word not in WORDS_OF[field.to]), None)
    if unknown is not None:
        raise Misconfigured(
            "legacy.layout_wrong",
            f"{where}, {field.title}: table {field.codes} leads to {unknown!r}, which {field.to} does not know",
        )


def _check_place(where: str, file: FileLayout, field: Field) -> None:
    if field.at < 1 or field.width < 1 or field.at - 1 + field.width > file.length:
        raise Misconfigured(
            "legacy.layout_wrong", f"{where}, {field.title}: lies outside the {file.length} bytes of a row"
        )


_NEEDED: Final[dict[FileKind, tuple[str, ...]]] = {
    "resident": ("atena_no", "version_no", "setai_no", "is_head", "status", "basic.name", "basic.birth"),
    "household": ("setai_no", "head_atena_no", "members"),
    "support": ("atena_no",),
    "notes": ("atena_no", "version_no", "note_kind", "note"),
    "stock": ("resident_code",),
    "gaiji": ("code", "text"),
}


def _check_needed(where: str, file: FileLayout) -> None:
    given = {field.to for field in file.fields}
    for path in _NEEDED[file.kind]:
        if path not in given:
            raise Misconfigured("legacy.layout_wrong", f"{where}: no field goes to {path}")
