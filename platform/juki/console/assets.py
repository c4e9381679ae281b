"""The style sheet, the script and the icon: the only files a browser may keep."""

from __future__ import annotations

from typing import Final

from litestar import Response, get

from juki.console.page import STATIC
from juki.problem import NotFound
from juki.web import public

_KINDS: Final = {"juki.css": "text/css; charset=utf-8", "juki.js": "text/javascript; charset=utf-8"}
_ICON: Final = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#0017c1"/>
<path d="M6 16 16 7l10 9v10H6z" fill="#fff"/><rect x="13" y="18" width="6" height="8" fill="#0017c1"/></svg>"""


@get(
    "/assets/{version:str}/{name:str}",
    opt=public("style sheet and script"),
    include_in_schema=False,
    sync_to_thread=False,
)
def asset(version: str, name: str) -> Response[bytes]:
    """One of the two files; the version in the path is only there to be new after a change."""
    if name not in _KINDS or len(version) > 40:
        raise NotFound
    return Response(
        (STATIC / name).read_bytes(),
        media_type=_KINDS[name],
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )


@get("/assets/icon.svg", opt=public("icon"), include_in_schema=False, sync_to_thread=False)
def icon() -> Response[bytes]:
    """The mark in the browser's tab."""
    return Response(_ICON, media_type="image/svg+xml", headers={"Cache-Control": "public, max-age=86400"})


routes: Final = [asset, icon]
