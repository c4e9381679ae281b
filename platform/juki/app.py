"""Composition root: settings -> fleet -> the registry's web application. May import everything; nothing imports it."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any, Final

from granian.utils.proxies import wrap_asgi_with_proxy_headers  # pyright: ignore[reportUnknownVariableType]  untyped
from litestar import Litestar, Response, Router, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions.base_exceptions import LitestarDeprecationWarning
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityRequirement, SecurityScheme
from litestar.types import ASGIApp, ControllerRouterHandler

from juki import audit, console
from juki.config import Config, load
from juki.console.once import Once
from juki.problem import JukiError, Refused
from juki.tenancy import Fleet
from juki.web import (
    Limits,
    Pace,
    Turnstile,
    admit,
    describe_problems,
    entrance,
    error_handlers,
    oauth,
    provide_caller,
    provide_fleet,
    provide_purpose,
    public,
    security_headers,
)

SLICES: Final = ("registry", "certificates", "legacy", "audit", "access", "offboarding")
"""Rooms that may show routes in `http.py`."""
_ROOT: Final = "/{code:str}/api/v1"


def create() -> ASGIApp:
    """Factory for the server: settings from the environment; Misconfigured names what is missing."""
    # the pool tells each of its attempts to reconnect; that the database is gone and back is said once elsewhere
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    config = load(os.environ, require=("registry",))
    config.need_origin()
    return behind_proxies(build(config), config)


def behind_proxies(app: ASGIApp, config: Config) -> ASGIApp:
    """Who calls is whom the proxy names, and over what; without it everybody would share the proxy's tries to log in."""
    if not config.proxies_trusted:
        return app
    return wrap_asgi_with_proxy_headers(app, config.proxies_trusted)  # pyright: ignore[reportUnknownVariableType]


def build(config: Config, *, fleet: Fleet | None = None) -> Litestar:
    """The application over a fleet that is already open, or over one that it opens and closes itself."""
    logging.basicConfig(level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    limits = Limits(
        request_seconds=config.request_timeout_seconds,
        requests_at_once=config.requests_max,
        body_bytes=config.body_max_bytes,
    )
    with warnings.catch_warnings():
        # Litestar 3 will ask for a marker on every injected name; this release still goes by the name itself
        warnings.simplefilter("ignore", LitestarDeprecationWarning)
        app = _assembled(config, fleet, limits)
        describe_problems(app)
    return app


def _assembled(config: Config, fleet: Fleet | None, limits: Limits) -> Litestar:
    return Litestar(
        route_handlers=[health, ready, oauth.tokens, oauth.introspect, *console.routes, *_api()],
        guards=[admit],
        middleware=[Turnstile(limits)],
        before_send=[security_headers],
        exception_handlers=error_handlers(console.page_of),  # pyright: ignore[reportArgumentType]
        dependencies={
            "caller": Provide(provide_caller),
            "fleet": Provide(provide_fleet),
            "purpose": Provide(provide_purpose),
        },
        lifespan=[_lifespan(config, fleet)],
        state=State(
            {
                "limits": limits,
                "pace": Pace(limits.logins, limits.logins_seconds),
                "names": entrance.Names(),
                "once": Once(),
            }
        ),
        openapi_config=_openapi(),
        request_max_body_size=limits.body_bytes,
        logging_config=None,
        debug=False,
    )


@get("/healthz", opt=public("the process answers"), sync_to_thread=False, tags=["operations"], security=[])
def health() -> dict[str, str]:
    """The process answers; nothing is asked of what it stands on."""
    return {"status": "ok"}


@get("/readyz", opt=public("may traffic come"), tags=["operations"], security=[])
async def ready(fleet: Fleet) -> Response[dict[str, str]]:
    """Whether the database and the KMS answer; 503 names which does not, never why.

    The KMS is asked for keys that the database holds, so without a database nothing is known of it.
    """
    database = await _answers(fleet.tenants)
    parts = {"database": database, "kms": await _answers(lambda: _kms(fleet)) if database == "ok" else "unknown"}
    well = all(state == "ok" for state in parts.values())
    return Response({"status": "ok" if well else "unavailable", **parts}, status_code=200 if well else 503)


async def _answers(ask: Callable[[], Any]) -> str:
    try:
        await ask()
    except JukiError:
        return "unavailable"
    return "ok"


async def _kms(fleet: Fleet) -> None:
    """The keys of one open municipality are at hand or can be had.

    One whose key its owner has disabled says nothing about the KMS, and must not take the others out of service.
    """
    for tenant in await fleet.tenants():
        if tenant.state == "active":
            with suppress(Refused):
                await fleet.keyring.get(tenant.code)
                return


def _api() -> Sequence[ControllerRouterHandler]:
    """The JSON routes of every room that has some, under /{code}/api/v1 unless they give their whole path themselves."""
    found: list[HTTPRouteHandler] = []
    for name in SLICES:
        if importlib.util.find_spec(f"juki.{name}.http") is not None:
            found.extend(importlib.import_module(f"juki.{name}.http").routes)
    whole = [h for h in found if all(path.startswith(_ROOT) for path in h.paths)]
    short = [h for h in found if h not in whole]
    proofs: list[SecurityRequirement] = [{"session": []}, {"bearer": []}]
    return [Router("/", route_handlers=whole, security=proofs), Router(_ROOT, route_handlers=short, security=proofs)]


def _lifespan(config: Config, fleet: Fleet | None) -> Callable[[Litestar], Any]:
    @asynccontextmanager
    async def span(app: Litestar) -> AsyncGenerator[None, None]:
        own = fleet is None
        app.state.fleet = await Fleet.open(config) if fleet is None else fleet
        keeper = asyncio.create_task(audit.keep(app.state.fleet)) if own else None
        try:
            yield
        finally:
            if keeper is not None:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
            if own:
                await app.state.fleet.close()

    return span


class _OnlyJson(Router):
    """The description as one JSON file: no viewer pages, no English not-found page."""

    def register(self, value: ControllerRouterHandler) -> Any:
        """Take the JSON route, leave the others."""
        if "/openapi.json" in getattr(value, "paths", ()):
            return super().register(value)
        return []


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Juki registry API",
        version=version("juki"),
        description="Resident registry of one municipality per path. Errors are RFC 9457 problem details.",
        create_examples=False,
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "session": SecurityScheme(type="apiKey", name="__Host-juki", security_scheme_in="cookie"),
                "bearer": SecurityScheme(type="http", scheme="bearer", description="client_secret_jwt, HS256"),
            }
        ),
        openapi_router=_OnlyJson(
            "/", route_handlers=[], include_in_schema=False, opt=public("description of the API, without data")
        ),
    )
