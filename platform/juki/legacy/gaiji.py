"""外字表: the incumbent's own characters and what they are, read from the extract before any name is."""

from __future__ import annotations

from juki.legacy.extract import Source
from juki.letters import Gaiji, Identification, forbidden, is_private_use, private_use
from juki.problem import Invalid


def read(source: Source) -> Gaiji:
    """The table of this extract, empty where the layout has none. Invalid `legacy.gaiji_table` names the first bad line: one
    that does not read, leads to no character of Unicode, or gives a code a second meaning.

    A code is the incumbent's own (cp932 F040-F9FC) or a code point of a private-use area; a row without identification is
    a character that nobody has identified yet.
    """
    table: dict[str, Identification] = {}
    for file in source.of_kind("gaiji"):
        at = {field.to: position for position, field in enumerate(file.fields)}
        for row in file.rows():
            if row.problem:
                raise Invalid("legacy.gaiji_table", f"{file.name}, line {row.line}: {row.problem}")
            cells = [c if isinstance(c, str) else c.decode("latin-1") for c in file.cells(row.start, row.end)]
            slot = _slot(cells[at["code"]].strip(), file.encoding)
            text = _text(cells[at["text"]])
            if slot is None or text is None:
                raise Invalid("legacy.gaiji_table", f"{file.name}, line {row.line}: not a code point")
            known = table.get(slot)
            if text and known is not None and known.text != text:
                raise Invalid(
                    "legacy.gaiji_table", f"{file.name}, line {row.line}: another character under a code before"
                )
            if text:
                table[slot] = Identification(text=text, mj=cells[at["mj"]].strip() if "mj" in at else "")
    return Gaiji(table)


def _slot(code: str, encoding: str) -> str | None:
    try:
        character = bytes.fromhex(code).decode(encoding) if encoding == "cp932" else chr(int(code, 16))
    except (ValueError, OverflowError, UnicodeDecodeError):
        return None
    return character if len(character) == 1 and is_private_use(character) else None


def _text(points: str) -> str | None:
    try:
        text = "".join(chr(int(point, 16)) for point in points.split())
    except (ValueError, OverflowError):
        return None
    return None if len(text) > 4 or forbidden(text) or private_use(text) else text
