"""Whatever the description allows, and much that it does not, against the running API: no fault, no undeclared answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.web.counter import IWAKI, Town, family, serving, settle

from juki import app, audit
from juki.audit import Login
from juki.config import Config
from juki.tenancy import Fleet

pytestmark = pytest.mark.slow
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proof(fleet: Fleet, iwaki: Town) -> dict[str, str]:
    """Cookies of a supervisor who may do most things."""
    await settle(fleet, family())
    secret = iwaki.secrets("kakari")
    terminal = iwaki.made.terminals[0].token
    typed = Login(login_name=secret.login, password=secret.password, otp=iwaki.otp("kakari", fleet.clock()))
    opened = await audit.sign_in(fleet, IWAKI, typed, terminal)
    return {"juki": opened.token, "juki-terminal": terminal}


@pytest.fixture(scope="module")
def address(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server."""
    with serving(config, tmp_path_factory.mktemp("server")) as url:
        yield url


DESCRIBED = schemathesis.openapi.from_dict(app.build(Config()).openapi_schema.to_schema())
OPERATIONS = {operation.ok().label: operation.ok() for operation in DESCRIBED.get_all_operations()}


@pytest.mark.parametrize("label", list(OPERATIONS))
def test_the_running_api_answers_only_as_it_says(label: str, proof: dict[str, str], address: str) -> None:
    """Fuzzed input ends in a declared status with a declared body."""

    @settings(max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=OPERATIONS[label].as_strategy())
    def ask(case: Any) -> None:
        if "code" in case.path_parameters:
            case.path_parameters["code"] = IWAKI
        headers = {"origin": address, "juki-purpose": "inquiry"}
        case.call_and_validate(base_url=address, headers=headers, cookies=proof, checks=list(CHECKS), timeout=40)

    ask()


def test_the_description_covers_every_room_with_routes() -> None:
    """An operation that the fuzzer cannot see is not tested."""
    paths = {label.split(" ")[1] for label in OPERATIONS}
    for part in (
        "/api/v1/search",
        "/api/v1/records/",
        "/api/v1/changes",
        "/api/v1/certificates/",
        "/oauth/token",
        "/healthz",
    ):
        assert any(part in path for path in paths), part


def test_the_fuzzer_gets_past_the_door(proof: dict[str, str], address: str) -> None:
    """Its session is good: what it meets is the API and not the log-in."""
    answer = httpx.get(f"{address}/{IWAKI}/api/v1/cases", cookies=proof)
    assert answer.status_code == 200
    assert httpx.get(f"{address}/{IWAKI}/api/v1/cases").status_code == 401
