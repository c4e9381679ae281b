"""Every route of the assembled application declares its right, its purpose and its name in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from juki import app
from juki.access.model import RIGHTS
from juki.config import Config
from juki.web.admission import PUBLIC, SELF

EXEMPT = {
    "/": "says where to go",
    "/assets/icon.svg": "icon",
    "/assets/{version:str}/{name:str}": "style sheet and script",
    "/healthz": "the process answers",
    "/readyz": "may traffic come",
    "/openapi.json": "description of the API, without data",
    "/{code:str}/login": "nobody is in yet",
    "/{code:str}/login/again": "nobody is in any more; the page gives back what the request itself carried",
    "/{code:str}/terminal": "nobody is in yet",
    "/{code:str}/oauth/token": "the client proves itself in the body",
}


@pytest.fixture(scope="module")
def application() -> Litestar:
    """The application as it is served, without its fleet."""
    return app.build(Config())


def handlers(application: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Path, method and handler of everything that answers."""
    for route in application.routes:
        assert isinstance(route, HTTPRoute), "only HTTP is served"
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS":
                yield route.path, method, handler


def test_every_route_declares_right_purpose_and_action_or_is_a_listed_exemption(application: Litestar) -> None:
    """R-A-3.3-AUT-01, R-A-3.3-LOG-01: nothing answers without a declared right and a name in the log."""
    bare: list[str] = []
    public: set[str] = set()
    for path, method, handler in handlers(application):
        if PUBLIC in handler.opt:
            assert handler.opt[PUBLIC]
            public.add(path)
            continue
        right, purpose, action = (handler.opt.get(name) for name in ("right", "purpose", "action"))
        known = right == SELF or (isinstance(right, str) and set(right.split("|")) <= RIGHTS)
        named = isinstance(action, str) and re.fullmatch(r"[a-z]+(\.[a-z_]+)+", action)
        if not (known and purpose and named):
            bare.append(f"{method} {path}: right={right!r} purpose={purpose!r} action={action!r}")
    assert bare == []
    assert public == set(EXEMPT)


def test_every_route_that_needs_a_caller_names_its_municipality_in_the_path(application: Litestar) -> None:
    """The path's code is what a session is held against."""
    for path, _, handler in handlers(application):
        if PUBLIC not in handler.opt:
            assert path.startswith("/{code:str}"), path


def test_the_guard_stands_before_every_route(application: Litestar) -> None:
    """`admit` is the application's guard, so a new route cannot forget it."""
    for path, method, handler in handlers(application):
        names = [guard.__name__ for guard in handler.resolve_guards()]
        assert names[:1] == ["admit"], f"{method} {path}"


def test_no_route_takes_personal_data_in_its_address(application: Litestar) -> None:
    """Names and numbers travel in bodies; an address has our own keys only: 団体コード, 宛名番号, running numbers."""
    allowed = {
        "code",
        "atena_no",
        "slug",
        "case_no",
        "issue_no",
        "measure_no",
        "op_no",
        "entry_no",
        "item_no",
        "version",
        "name",
        "setai_no",
        "number_id",
        "run_no",
        "row_no",
        "event_no",
        "suppression_no",
        "loosening_no",
        "grant_no",
        "operator_id",
        "decision",
    }
    for path, method, handler in handlers(application):
        assert set(re.findall(r"\{(\w+):", path)) <= allowed, path
        if method == "GET":
            wanted = set(handler.parsed_fn_signature.parameters) - {"request", "fleet", "caller", "purpose", "code"}
            assert not wanted & {"kana", "birth", "address", "my_number", "resident_code"}, path
