"""紙: a template and its values become the bytes of a PDF, with the one font that knows the names of residents.

Pure: no database, no network, no key. Every paper of the house (certificates, certificate of sanitisation) is set by
typst from a template beside the code and one JSON value. The font is IPAmj明朝, the only free face that carries the
variants of 戸籍 and 住民基本台帳; a character that it cannot draw is an error here, never another glyph in silence.
"""

from __future__ import annotations

import os
import re
import threading
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, cast

import msgspec
import typst
from fontTools.ttLib import TTFont

from juki import letters
from juki.config import load
from juki.problem import Invalid, JukiError, Misconfigured

FONT_FILE: Final = "ipamjm.ttf"
_CHECKOUT: Final = Path(__file__).resolve().parents[2]
_STANDARD: Final = "a-2b"
_PANIC: Final = re.compile(r"overflow:([a-z0-9_.]+)")
_OVERFLOW: Final = "paper.overflow"
_NO_GLYPH: Final = "paper.glyph_missing"


# --- fonts --------------------------------------------------------------------------------------------------------


def font_dirs(env: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Where fonts are looked for, best first: the setting `font_dir`, `home`/fonts (default ./.juki/fonts), the same of the
    checkout this code runs from (where `scripts/setup` puts them), the system's. Settings are those of `juki.config`.
    """
    config = load(os.environ if env is None else env)
    named = (Path(config.font_dir),) if config.font_dir else ()
    return (*named, config.home_path / "fonts", _CHECKOUT / ".juki" / "fonts", Path("/usr/share/fonts"))


def find_font(dirs: tuple[Path, ...] | None = None) -> Path:
    """File of IPAmj明朝; Misconfigured `paper.font_missing` names the folders that were searched."""
    searched = font_dirs() if dirs is None else dirs
    for folder in searched:
        direct = folder / FONT_FILE
        if direct.is_file():
            return direct
        if folder.is_dir() and (found := next(iter(sorted(folder.rglob(FONT_FILE))), None)):
            return found
    raise Misconfigured(
        "paper.font_missing",
        f"IPAmj Mincho ({FONT_FILE}) is in none of: {', '.join(str(d) for d in searched)}",
        remedy="run scripts/setup, or set JUKI_FONT_DIR to the folder that holds it",
    )


class Mincho(msgspec.Struct, frozen=True):
    """What the installed IPAmj明朝 can draw: its characters and its variation sequences."""

    path: Path
    characters: frozenset[int]
    sequences: frozenset[tuple[str, str]]
    equal: dict[tuple[str, str], str]

    def settle(self, text: str, *, own: frozenset[str] = frozenset()) -> str:
        """The text as this font must be given it, every sequence one that the font has.

        `own` are private-use characters for which the municipality supplies a glyph. Raises Invalid
        `paper.glyph_missing` for anything else that would come out as another glyph or an empty box.
        """
        settled, lost = letters.to_mj_sequence(text, self.sequences, self.equal)
        if lost:
            raise Invalid(_NO_GLYPH, "a variation sequence has no glyph in the font", kind="sequence")
        for character in settled:
            if character in own or letters.is_selector(character):
                continue
            if letters.is_private_use(character):
                raise Invalid(_NO_GLYPH, "an unidentified character of the user area", kind="gaiji")
            if ord(character) not in self.characters:
                raise Invalid(_NO_GLYPH, "a character has no glyph in the font", kind="character")
        return settled


@lru_cache(maxsize=4)
def mincho(path: Path | None = None) -> Mincho:
    """Tables of the installed font, read once per process (about a second); Misconfigured `paper.font_damaged`."""
    file = path or find_font()
    try:
        with TTFont(file, lazy=True) as font:
            _check_whole(font, file)
            characters = frozenset(font.getBestCmap() or ())
            pairs = frozenset(_sequences_of(font))
    except Exception as e:  # noqa: BLE001  a damaged file breaks its reader in many ways, and each means the same
        raise Misconfigured(
            "paper.font_damaged",
            f"{file} does not read as a font ({type(e).__name__})",
            remedy="remove that file and run scripts/setup",
        ) from None
    equal = {pair: other for pair, other in _equal_sequences().items() if pair not in pairs}
    bare = frozenset((base, "") for (base, _), other in equal.items() if not other)
    return Mincho(file, characters, pairs | bare, equal)


def _check_whole(font: TTFont, file: Path) -> None:
    """A file cut off behind the tables read here would draw wrong glyphs later, or none."""
    reader: Any = font.reader
    if max(entry.offset + entry.length for entry in reader.tables.values()) > file.stat().st_size:
        raise EOFError


def _sequences_of(font: TTFont) -> Iterator[tuple[str, str]]:
    for table in cast("list[Any]", font["cmap"].tables):
        if table.format == 14:
            for selector, entries in table.uvsDict.items():
                for base, _ in entries:
                    yield chr(base), chr(selector)


@lru_cache(maxsize=1)
def _equal_sequences() -> dict[tuple[str, str], str]:
    """Adobe-Japan1 sequence -> selector of the same glyph in Moji_Joho ("" where it is the plain character)."""
    raw = tomllib.loads((Path(__file__).parent / "paper_sequences.toml").read_text(encoding="utf-8"))
    plain: dict[str, str] = raw["plain"]
    equal = {(base, chr(int(vs, 16))): "" for vs, bases in plain.items() for base in bases if not base.isspace()}
    pairs: dict[str, dict[str, str]] = raw["moji_joho"]
    for base, selectors in pairs.items():
        equal |= {(base, chr(int(vs, 16))): chr(int(other, 16)) for vs, other in selectors.items()}
    return equal


# --- setting ------------------------------------------------------------------------------------------------------


class _Press:
    """One warm typst compiler per template. Not re-entrant, so callers queue; a page takes a few milliseconds."""

    def __init__(self, template: Path) -> None:
        self._lock = threading.Lock()
        self._template = template
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[mincho().path.parent])
        self._compiler = typst.Compiler(template, root=template.parent, font_paths=fonts, ignore_system_fonts=True)

    def run(self, form: Literal["pdf", "png"], data: str, *, stamp: int, ppi: float) -> list[bytes]:
        with self._lock:
            try:
                made = self._compiler.compile(
                    format=form,
                    sys_inputs={"data": data},
                    pdf_standards=[_STANDARD] if form == "pdf" else [],
                    pdf_tags=False,
                    timestamp=stamp,
                    ppi=ppi,
                )
            except typst.TypstError as fault:
                # The compiler quotes the text that it could not set; that text is personal, so the cause is cut off.
                raise _problem(str(fault)) from None
        return made if isinstance(made, list) else [made or b""]


def _problem(message: str) -> JukiError:
    if found := _PANIC.search(message):
        return Invalid(_OVERFLOW, "a value does not fit its box at the smallest size", fields={found[1]: _OVERFLOW})
    if "could not be displayed" in message:
        return Invalid(_NO_GLYPH, "a character has no glyph in the font", kind="character")
    return JukiError("paper.template_broken", "the template does not compile with these values")


@lru_cache(maxsize=16)
def _press(template: Path) -> _Press:
    return _Press(template)


def pdf(template: Path, data: Any, *, stamp: int) -> bytes:
    """PDF/A-2b bytes of a template and its values; `stamp` (Unix seconds) is the date inside, so equal in is equal out.

    Raises Invalid `paper.overflow` with the item in `fields`, or `paper.glyph_missing`.
    """
    return _press(template).run("pdf", msgspec.json.encode(data).decode(), stamp=stamp, ppi=144.0)[0]


def png(template: Path, data: Any, *, stamp: int, ppi: float = 144.0) -> list[bytes]:
    """Pages as pictures, by the same template: for looking at, and for tests that compare glyphs as drawn."""
    return _press(template).run("png", msgspec.json.encode(data).decode(), stamp=stamp, ppi=ppi)
