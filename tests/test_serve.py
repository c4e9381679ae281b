"""`juki serve` before it serves: what is wrong is one message and an exit code, not a loop of dying workers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from juki import __main__ as juki
from juki import app
from juki.commands import serve
from juki.config import Config
from juki.problem import Misconfigured
from juki.tenancy import connect


@pytest.fixture
def settings(fresh_config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The environment of a machine that is set up, and a server that is not really started."""
    for name in ("home", "kms", "dsn_registry", "dsn_deploy"):
        monkeypatch.setenv(f"JUKI_{name.upper()}", str(getattr(fresh_config, name)))
    monkeypatch.setenv("JUKI_ORIGIN", "https://juki.example.lg.jp")
    monkeypatch.setattr(serve.Granian, "serve", lambda _: None)
    return fresh_config


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens in the same sharing way as the server would."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_in_use_is_named_and_not_shared(
    settings: Config, taken: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two services that quietly share a port would each get half of the requests."""
    assert juki.main(["serve", "--port", str(taken)]) == 4
    told = capsys.readouterr().err
    assert "serve.port_in_use" in told
    assert str(taken) in told
    assert "--port" in told


def test_an_address_of_another_machine_is_named(settings: Config, capsys: pytest.CaptureFixture[str]) -> None:
    """203.0.113.0/24 is kept for documents: no machine has it."""
    assert juki.main(["serve", "--host", "203.0.113.7", "--port", "8123"]) == 4
    assert "serve.address" in capsys.readouterr().err


def test_a_service_that_does_not_know_its_own_address_is_not_started(
    settings: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """R-A-3.3-AUT-01: the audience of a machine's proof is a setting, not what a caller writes into the Host header."""
    monkeypatch.delenv("JUKI_ORIGIN")
    assert juki.main(["serve"]) == 4
    told = capsys.readouterr().err
    assert "config.origin_missing" in told
    assert "JUKI_ORIGIN" in told
    assert "https://" in told
    with pytest.raises(Misconfigured, match="JUKI_ORIGIN"):
        app.create()


def test_plain_http_on_this_machine_needs_no_address(settings: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """`juki dev` and the demonstration go on as they were."""
    monkeypatch.delenv("JUKI_ORIGIN")
    monkeypatch.setenv("JUKI_COOKIE_SECURE", "false")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    assert juki.main(["serve", "--port", port]) == 0
    assert app.create()


@pytest.mark.parametrize(
    ("change", "said", "remedy"),
    [
        ("DELETE FROM t075418.schema_version WHERE revision = (SELECT max(revision) FROM t075418.schema_version)",
         "075418 のスキーマは古い版です", "juki migrate を実行してください"),
        ("INSERT INTO t075418.schema_version (revision, fingerprint) VALUES ('9999', 'x')",
         "このプログラムより新しい版です(9999)", "新しいプログラムで起動してください"),
    ],
)  # fmt: skip
def test_a_municipality_of_another_revision_is_named_and_the_others_are_served(
    settings: Config, capsys: pytest.CaptureFixture[str], change: str, said: str, remedy: str
) -> None:
    """One municipality's missed migration closes nobody else's counter, and nobody has to guess."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with closing(connect(settings, "deploy", autocommit=True)) as deploy:
        deploy.execute(change.encode())
    assert juki.main(["serve", "--port", port]) == 0
    told = capsys.readouterr().err
    assert said in told
    assert remedy in told
    assert "072044" not in told
