"""公印: a square seal drawn from its wording, where a municipality has not yet handed over its real impression. Pure.

The wording is set in columns from the right as on a carved seal, each character stretched to fill its place, and
drawn as outlines, so the picture needs no font where it is used.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol, cast

from fontTools.pens.boundsPen import BoundsPen
from fontTools.pens.svgPathPen import SVGPathPen
from fontTools.pens.transformPen import TransformPen
from fontTools.ttLib import TTFont

from juki.paper import find_font
from juki.problem import Misconfigured

_SIZE: Final = 1000.0
_FRAME: Final = 42.0
_GAP: Final = 26.0
_INK: Final = "#b3261e"
_MAX_LENGTH: Final = 25


class _Glyph(Protocol):
    """The part of a font glyph that is used here."""

    def draw(self, pen: object, /) -> None: ...


@lru_cache(maxsize=64)
def square_seal(wording: str, font: Path | None = None) -> str:
    """SVG of a square seal; raises Misconfigured `certificates.seal_wording` for an empty, long or undrawable wording."""
    characters = [c for c in wording if not c.isspace()]
    if not 1 <= len(characters) <= _MAX_LENGTH:
        raise Misconfigured("certificates.seal_wording", "a seal holds 1 to 25 characters")
    paths: list[str] = []
    with TTFont(font or find_font(), lazy=True) as face:
        glyphs, names = face.getGlyphSet(), face.getBestCmap() or {}
        for character, place in zip(characters, _places(len(characters)), strict=True):
            name = names.get(ord(character))
            if name is None:
                raise Misconfigured("certificates.seal_wording", "the font has no glyph for a character of the seal")
            paths.append(_outline(glyphs, name, place))
    inner = _SIZE - _FRAME
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIZE:g} {_SIZE:g}">'
        f'<rect x="{_FRAME / 2:g}" y="{_FRAME / 2:g}" width="{inner:g}" height="{inner:g}" rx="14" fill="none" '
        f'stroke="{_INK}" stroke-width="{_FRAME:g}"/><path fill="{_INK}" d="{"".join(paths)}"/></svg>'
    )


def _places(count: int) -> list[tuple[float, float, float, float]]:
    """Boxes (x, y, width, height), columns from right to left, the fuller columns first."""
    columns = math.ceil(math.sqrt(count))
    while columns > 1 and math.ceil(count / columns) == math.ceil(count / (columns - 1)):
        columns -= 1
    inner = _SIZE - 2 * (_FRAME + _GAP)
    width = inner / columns
    base, extra = divmod(count, columns)
    places: list[tuple[float, float, float, float]] = []
    for column in range(columns):
        rows = base + (1 if column < extra else 0)
        height = inner / rows
        left = _FRAME + _GAP + inner - width * (column + 1)
        places += [(left, _FRAME + _GAP + height * row, width, height) for row in range(rows)]
    return places


def _outline(glyphs: object, name: str, place: tuple[float, float, float, float]) -> str:
    glyph_set = cast("dict[str, _Glyph]", glyphs)
    bounds = BoundsPen(glyph_set)
    glyph_set[name].draw(bounds)
    left, bottom, right, top = cast("tuple[float, float, float, float]", bounds.bounds or (0, 0, 1, 1))
    x, y, width, height = place
    pad = 0.05 * min(width, height)
    across = (width - 2 * pad) / max(right - left, 1.0)
    # A stroke such as 一 must not be blown up into a black bar.
    up = min((height - 2 * pad) / max(top - bottom, 1.0), across * 1.9)
    drop = (height - up * (top - bottom)) / 2
    pen = SVGPathPen(glyph_set, ntos=lambda value: f"{value:.1f}")
    shift = (across, 0.0, 0.0, -up, x + pad - left * across, y + drop + top * up)
    glyph_set[name].draw(TransformPen(pen, shift))
    return str(pen.getCommands())
