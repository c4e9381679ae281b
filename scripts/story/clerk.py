"""A person at a terminal: logs in as a browser would and uses the same routes as the console's scripts and machines."""

from __future__ import annotations

import importlib.util
import json
import time
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

import httpx

from story.world import REPOSITORY, World, proved


def _otp_program() -> ModuleType:
    loader = SourceFileLoader("story_otp", str(REPOSITORY / "scripts" / "otp"))
    spec = importlib.util.spec_from_loader("story_otp", loader)
    proved(spec is not None, "scripts/otp can be read")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


_OTP = _otp_program()


def code_at(secret: str, at: float) -> str:
    """The one-time code of a moment."""
    return str(_OTP.code(secret, at))


class Clerk:
    """One logged-in person at one registered terminal of one municipality."""

    def __init__(self, world: World, code: str, login: str, terminal: str) -> None:
        secrets = world.shared["secrets"][code]
        person = next(p for p in secrets["operators"] if p["login"] == login)
        place = next(t for t in secrets["terminals"] if t["id"] == terminal)
        self.code = code
        self.login = login
        self.http = httpx.Client(base_url=world.url, timeout=60, follow_redirects=False)
        self.http.cookies.set("juki-terminal", place["token"])
        self.http.headers["Origin"] = world.url
        form = {
            "login": login,
            "password": person["password"],
            "otp": code_at(person["otp_secret"], time.time()),
            "accepts_rules": "on",
        }
        answer = self.http.post(f"/{code}/login", data=form)
        proved(answer.status_code in (302, 303), f"{login} logs in (status {answer.status_code})")
        proved("juki" in self.http.cookies, f"{login} holds a session")

    def get(self, path: str, purpose: str = "counter", **parameters: str) -> httpx.Response:
        """GET of a route of the municipality's API."""
        return self.http.get(f"/{self.code}/api/v1{path}", params=parameters, headers={"juki-purpose": purpose})

    def post(self, path: str, body: object, purpose: str = "counter") -> httpx.Response:
        """POST of a JSON body to a route of the municipality's API."""
        return self.http.post(f"/{self.code}/api/v1{path}", json=body, headers={"juki-purpose": purpose})

    def page(self, path: str) -> httpx.Response:
        """GET of a console page."""
        return self.http.get(f"/{self.code}{path}")

    def logout(self) -> None:
        """End of the shift."""
        self.http.close()


def ok(answer: httpx.Response, claim: str) -> Any:
    """The JSON of a good answer; anything else stops the story with the problem's code."""
    if answer.status_code >= 400:
        try:
            told = answer.json()
        except json.JSONDecodeError:
            told = {}
        shown = {k: told.get(k) for k in ("code", "type", "status", "fields", "errors") if k in told}
        proved(False, f"{claim}: {answer.request.method} {answer.request.url.path} -> {answer.status_code} {shown}")
    return answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None


def code_of(answer: httpx.Response) -> str:
    """The stable code of a refusal."""
    told = answer.json()
    return str(told.get("code") or told.get("type", "").rsplit(":", 1)[-1].rsplit("/", 1)[-1])
