"""抽出ファイルの読取り: rows of an extract found, bounded and cut into items; a broken row is named, never a reason to stop.

Nothing is decoded here but headers and CSV rows; a file is mapped into memory, so its size costs no room.
"""

from __future__ import annotations

import csv
import hashlib
import mmap
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

import msgspec

from juki.legacy.layout import Field, FileLayout, Layout
from juki.legacy.model import Slip
from juki.problem import Invalid, Misconfigured

SLIP_NAME: Final = "extract.json"
_BOM: Final = b"\xef\xbb\xbf"
_SLIP_MOST_BYTES: Final = 1 << 20
_PROBE_ROWS: Final = 100
_HASH_BLOCK: Final = 1 << 20
_FORGET_EVERY_BYTES: Final = 1 << 25

Cells = Sequence[bytes] | Sequence[str]


class Row(msgspec.Struct, frozen=True):
    """Where one row stands; `problem` is a reason code where it cannot be cut into items."""

    line: int
    start: int
    end: int
    problem: str = ""


class SourceFile:
    """One file of the extract, mapped for reading; rows in order and, later, any row again by its place."""

    def __init__(self, path: Path, name: str, layout: Layout, spec: FileLayout) -> None:
        self.name, self.spec, self.layout = name, spec, layout
        self._handle = _open(path, layout.max_file_bytes)
        size = path.stat().st_size
        self.data: mmap.mmap | bytes = mmap.mmap(self._handle.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        self.size = size
        self.is_csv = layout.form == "csv" or spec.kind == "gaiji"
        self.encoding = layout.encoding
        self._first, self._first_line = 0, 1
        self.fields: tuple[Field, ...] = spec.fields
        self.order: tuple[int, ...] = ()  # where each field stands in a CSV row
        self.width, self.titles = 0, tuple[str, ...]()  # columns of a CSV row
        self._parsed_at, self._parsed = -1, list[str]()
        if self.is_csv:
            self._read_header()
            self._probe(f"the {self.width} columns of the header")
        else:
            _check_apart(spec)
            self._cut = self.cutter([(field.at, field.width) for field in spec.fields])
            self._probe(f"{spec.length} bytes")

    def close(self) -> None:
        """Let go of the file."""
        if isinstance(self.data, mmap.mmap):
            self.data.close()
        self._handle.close()

    def forget(self) -> None:
        """Give the pages read so far back to the system: they are the file's own and come back by themselves."""
        if isinstance(self.data, mmap.mmap):
            self.data.madvise(mmap.MADV_DONTNEED)

    def rows(self) -> Iterator[Row]:
        """Every row in order, broken ones included."""
        return self._csv_rows() if self.is_csv else self._fixed_rows()

    def raw(self, start: int, end: int) -> bytes:
        """The bytes of one row without its line end."""
        return self.data[start:end]

    def cells(self, start: int, end: int) -> Cells:
        """The row cut into the items of `fields`, in their order."""
        if not self.is_csv:
            return self._cut(start, end)
        if self._parsed_at != start:
            self._parsed_at, self._parsed = start, _parse(self.raw(start, end).decode(self.encoding))
        row = self._parsed
        return [row[position] for position in self.order]

    def fields_found(self) -> tuple[Field, ...]:
        """The items in the order in which they stand here, with the columns that the layout does not name."""
        if not self.is_csv:
            return self.fields
        known = {field.title: field for field in self.fields}
        return tuple(known.get(title, Field(title=title, to="-")) for title in self.titles)

    def cutter(self, places: Sequence[tuple[int, int]]) -> Callable[[int, int], Cells]:
        """What cuts a fixed-length row at `places` (from 1, width in bytes), in their order; they may lie in any order."""
        ascending = sorted(places)
        cut = struct.Struct(_places(ascending)).unpack_from
        if ascending == [*places]:
            return lambda start, _: cut(self.data, start)
        back = itemgetter(*map(ascending.index, places))
        return lambda start, _: back(cut(self.data, start))

    def digest(self) -> str:
        """SHA-256 of the whole file."""
        whole = hashlib.sha256()
        for start in range(0, self.size, _HASH_BLOCK):
            whole.update(self.data[start : start + _HASH_BLOCK])
            if start % _FORGET_EVERY_BYTES == 0:
                self.forget()
        self.forget()
        return whole.hexdigest()

    def _lines(self) -> Iterator[tuple[int, int, int]]:
        data, size = self.data, self.size
        start, line = self._first, self._first_line
        forgotten = 0
        while start < size:
            if start - forgotten > _FORGET_EVERY_BYTES:
                forgotten = start
                self.forget()
            found = data.find(b"\n", start)
            stop = found if found >= 0 else size
            end = stop - 1 if stop > start and data[stop - 1] == 13 else stop
            yield line, start, end
            start, line = stop + 1, line + 1

    def _fixed_rows(self) -> Iterator[Row]:
        wanted, too_long = self.spec.length, self.layout.max_line_bytes
        for line, start, end in self._lines():
            if end - start == wanted:
                yield Row(line, start, end)
            else:
                yield Row(line, start, min(end, start + too_long), "line.length")

    def _csv_rows(self) -> Iterator[Row]:
        lines = list[tuple[int, int, int]]()
        source = self._lines()
        while True:
            first = lines.pop(0) if lines else next(source, None)
            if first is None:
                return
            row, used = self._csv_row(first, lines, source)
            del lines[:used]
            yield row

    def _csv_row(
        self, first: tuple[int, int, int], ahead: list[tuple[int, int, int]], source: Iterator[tuple[int, int, int]]
    ) -> tuple[Row, int]:
        """One row, which may go over several lines inside quotes; how many of the lines ahead it took."""
        line, start, end = first
        alone = self._judge(Row(line, start, end))
        if alone.problem != "line.quote":
            return alone, 0
        quotes = self.data[start:end].count(b'"')
        for used in range(1, self.layout.max_lines_per_row):
            if len(ahead) < used:
                following = next(source, None)
                if following is None:
                    break
                ahead.append(following)
            _, next_start, next_end = ahead[used - 1]
            if next_end - start > self.layout.max_line_bytes:
                break
            quotes += self.data[next_start:next_end].count(b'"')
            if quotes % 2 == 0:
                whole = self._judge(Row(line, start, next_end))
                if not whole.problem:
                    return whole, used
        return alone, 0

    def _judge(self, row: Row) -> Row:
        if row.end - row.start > self.layout.max_line_bytes:
            return Row(row.line, row.start, row.start + self.layout.max_line_bytes, "line.length")
        try:
            cells = _parse(self.raw(row.start, row.end).decode(self.encoding))
        except UnicodeDecodeError:
            return Row(row.line, row.start, row.end, "text.undecodable")
        except csv.Error:
            return Row(row.line, row.start, row.end, "line.quote")
        if len(cells) != self.width:
            return Row(row.line, row.start, row.end, "line.columns")
        self._parsed_at, self._parsed = row.start, cells
        return row

    def _read_header(self) -> None:
        if self.data[:3] == _BOM:
            self._first = 3
        header = next(self._lines(), None)
        if header is None:
            raise Invalid("legacy.empty_file", f"{self.name} is empty", remedy="ask the sender for the file again")
        _, start, end = header
        if end - start > self.layout.max_line_bytes:
            raise Invalid(
                "legacy.not_this_layout",
                f"{self.name}: the header is longer than {self.layout.max_line_bytes} bytes",
                remedy="name the layout of this extract, and check that the lines of the file end with a line feed",
            )
        try:
            titles = _parse(self.raw(start, end).decode(self.encoding))
        except (UnicodeDecodeError, csv.Error):
            raise Invalid(
                "legacy.wrong_encoding",
                f"{self.name}: the header does not read as {self.encoding}",
                remedy="check the layout or ask the sender in which encoding the file is",
            ) from None
        missing = [f.title for f in self.spec.fields if f.title not in titles]
        if missing:
            raise Invalid(
                "legacy.not_this_layout",
                f"{self.name}: no column {missing[0]} ({len(missing)} missing)",
                remedy="name the layout of this extract, or add the column to a copy of it",
            )
        twice = [f.title for f in self.spec.fields if titles.count(f.title) > 1]
        if twice:
            raise Invalid(
                "legacy.column_twice",
                f"{self.name}: column {twice[0]} stands there twice ({len(twice)} such)",
                remedy="ask the sender which of them holds, and have the other one taken out or renamed",
            )
        self.width, self.titles = len(titles), tuple(titles)
        self.order = tuple(titles.index(f.title) for f in self.spec.fields)
        following = self.data.find(b"\n", start)
        self._first = following + 1 if following >= 0 else self.size
        self._first_line = 2

    def _probe(self, wanted: str) -> None:
        """Refuse a file of which not one of the first rows fits: that is another layout or encoding, not a few faults."""
        seen = 0
        for row in self.rows():
            if not row.problem:
                return
            seen += 1
            if seen >= _PROBE_ROWS:
                break
        if seen:
            raise Invalid(
                "legacy.not_this_layout",
                f"{self.name}: no row of the first {seen} has {wanted}",
                remedy="name the layout of this extract; a file changed from cp932 to another encoding does not fit",
            )


def _places(places: Sequence[tuple[int, int]]) -> str:
    """Format of struct.unpack that cuts a row at ascending places, leaving out what lies between."""
    at = 0
    parts = ["<"]
    for first, width in places:
        gap = first - 1 - at
        parts.append(f"{gap}x{width}s" if gap else f"{width}s")
        at = first - 1 + width
    return "".join(parts)


def _check_apart(spec: FileLayout) -> None:
    """Refuse fields of a fixed-length row that overlap; they may lie in any order and leave gaps."""
    at = 0
    for field in sorted(spec.fields, key=lambda f: f.at):
        if field.at - 1 < at:
            raise Misconfigured("legacy.layout_wrong", f"{spec.names[0]}, {field.title}: overlaps the field before")
        at = field.at - 1 + field.width


def _parse(text: str) -> list[str]:
    row = next(csv.reader([text], strict=True), None)
    return row if row is not None else [""]


def _open(path: Path, max_bytes: int) -> BinaryIO:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would be waited for without end
            raise _unreadable(path, "not a file")
        if found.st_size > max_bytes:
            raise Invalid(
                "legacy.file_too_large",
                f"{path.name} is larger than {max_bytes} bytes",
                remedy="ask the sender for smaller files, or raise max_file_bytes in a copy of the layout",
            )
        return path.open("rb")
    except FileNotFoundError:
        raise Invalid(
            "legacy.file_missing", f"{path.name} is not in the extract", remedy="ask the sender for the whole extract"
        ) from None
    except OSError as e:
        raise _unreadable(path, e.strerror or "cannot be read") from None


def _unreadable(path: Path, why: str) -> Invalid:
    return Invalid(
        "legacy.source_unreadable",
        f"{path}: {why}",
        remedy="check that the medium is in, and that it holds a file there which this user may read",
    )


class Source:
    """The whole extract: its slip and its files, opened together and closed together."""

    def __init__(self, folder: Path, layout: Layout) -> None:
        self.folder, self.layout = folder, layout
        self.slip = read_slip(folder)
        self.files: list[SourceFile] = []
        for spec in layout.file:
            for name in spec.names:
                if not spec.optional or (folder / name).exists():
                    self.files.append(SourceFile(folder / name, name, layout, spec))

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self.files:
            file.close()

    def of_kind(self, kind: str) -> list[SourceFile]:
        """Files of one kind, in the order of the layout."""
        return [f for f in self.files if f.spec.kind == kind]

    def layout_found(self) -> Layout:
        """The layout with each file by itself, its items where they stand in it: what a kept row is cut by later."""
        files = tuple(
            msgspec.structs.replace(file.spec, names=(file.name,), earlier=(), fields=file.fields_found())
            for file in self.files
        )
        return msgspec.structs.replace(self.layout, file=files)

    def digest(self) -> str:
        """One digest over every file of the extract, by name."""
        whole = hashlib.sha256()
        for file in sorted(self.files, key=lambda f: f.name):
            whole.update(f"{file.name} {file.size} {file.digest()}\n".encode())
        return whole.hexdigest()


def read_slip(folder: Path) -> Slip:
    """送付票 of an extract; Invalid `legacy.slip_*` where it is missing or does not read."""
    path = folder / SLIP_NAME
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # as with the files: a pipe would be waited for without end
            raise _unreadable(path, "not a file")
        if found.st_size > _SLIP_MOST_BYTES:
            raise Invalid(
                "legacy.slip_unreadable",
                f"{path} is larger than {_SLIP_MOST_BYTES} bytes and no sender's slip",
                remedy="copy it from the medium again; if it still does not read, ask the sender for a new one",
            )
        return msgspec.json.decode(path.read_bytes(), type=Slip)
    except FileNotFoundError:
        raise Invalid(
            "legacy.slip_missing",
            f"{folder} holds no {SLIP_NAME}",
            remedy="name the folder of the extract; the sender's slip belongs to it",
        ) from None
    except OSError as e:
        raise _unreadable(path, e.strerror or "cannot be read") from None
    except msgspec.DecodeError as e:
        raise Invalid(
            "legacy.slip_unreadable",
            f"{path} is not a sender's slip: {e}",
            remedy="copy it from the medium again; if it still does not read, ask the sender for a new one",
        ) from None
