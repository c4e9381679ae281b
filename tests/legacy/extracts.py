"""A synthetic extract changed item by item, as a vendor might have written it; nothing of the reader under test is used."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path
from typing import Any

from juki.legacy import load_layout


class Rows:
    """The rows of one file of an extract, changed by number and printed title, and written back."""

    def __init__(self, folder: Path, layout: str, name: str) -> None:
        self._path = folder / name
        whole = load_layout(layout)
        self._fixed = whole.form == "fixed" and not name.upper().startswith("GAIJI")
        self._encoding = whole.encoding
        spec = next(file for file in whole.file if name in file.names)
        self._fields = {field.title: field for field in spec.fields}
        raw = self._path.read_bytes()
        self.head = list[str]()
        self.rows: list[Any]
        if self._fixed:
            self.rows = raw.split(b"\r\n")[:-1]
        else:
            self.head, *self.rows = csv.reader(io.StringIO(raw.decode(self._encoding).removeprefix("\ufeff")))

    def get(self, row: int, title: str) -> str:
        """What stands in an item."""
        if not self._fixed:
            return str(self.rows[row][self.head.index(title)])
        field = self._fields[title]
        cell: bytes = self.rows[row][field.at - 1 : field.at - 1 + field.width]
        return cell.decode(self._encoding).strip(" \u3000")

    def set(self, row: int, title: str, text: str) -> None:
        """Put something else there."""
        if not self._fixed:
            self.rows[row][self.head.index(title)] = text
            return
        field = self._fields[title]
        cell = text.encode(self._encoding).ljust(field.width)
        assert len(cell) == field.width
        raw: bytes = self.rows[row]
        self.rows[row] = raw[: field.at - 1] + cell + raw[field.at - 1 + field.width :]

    def where(self, title: str, text: str) -> list[int]:
        """Rows in which an item is this."""
        return [row for row in range(len(self.rows)) if self.get(row, title) == text]

    def save(self) -> None:
        """Write the file back."""
        if self._fixed:
            self._path.write_bytes(b"".join(raw + b"\r\n" for raw in self.rows))
            return
        text = io.StringIO()
        csv.writer(text, lineterminator="\r\n").writerows([self.head, *self.rows])
        self._path.write_bytes(text.getvalue().encode(self._encoding))


def count_again(folder: Path) -> None:
    """The sender's slip over the files as they are now."""
    slip = json.loads((folder / "extract.json").read_text(encoding="utf-8"))
    for file in slip["files"]:
        raw = (folder / file["name"]).read_bytes()
        file |= {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), "rows": None}
    (folder / "extract.json").write_text(json.dumps(slip), encoding="utf-8")
