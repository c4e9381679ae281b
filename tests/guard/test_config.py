"""Settings: read once, checked whole, and the name of what is wrong in the message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from juki import config as config_module
from juki.config import LOGINS, Config, load
from juki.problem import Misconfigured


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Both are read; what is set nowhere keeps its default."""
    file = tmp_path / "juki.toml"
    file.write_text('port = 9000\nhost = "0.0.0.0"\n')
    config = load({"JUKI_PORT": "9001", "OTHER": "x"}, file)
    assert (config.port, config.host, config.pool_max) == (9001, "0.0.0.0", Config().pool_max)


OTHER_VALUES: dict[str, tuple[str, str]] = {
    "home": ('"/srv/juki"', "/srv/juki"),
    "dsn_registry": ('"dbname=a"', "dbname=a"),
    "dsn_rekey": ('"dbname=b"', "dbname=b"),
    "dsn_deploy": ('"dbname=c"', "dbname=c"),
    "dsn_control": ('"dbname=d"', "dbname=d"),
    "kms": ('"aws:ap-northeast-1"', "aws:ap-northeast-1"),
    "kms_endpoint": ('"https://kms.example"', "https://kms.example"),
    "font_dir": ('"/srv/faces"', "/srv/faces"),
    "host": ('"0.0.0.0"', "0.0.0.0"),
    "cookie_secure": ("false", "false"),
    "origin": ('"https://juki.example.lg.jp"', "https://juki.example.lg.jp"),
    "proxies": ('"10.0.0.5"', "10.0.0.5"),
    "environment": ('"test"', "test"),
    "log_level": ('"debug"', "debug"),
}
"""Another value of each setting that is no number, as the file and as the environment write it."""


@pytest.mark.parametrize("name", Config.__struct_fields__)
def test_every_setting_can_be_written_in_the_file_and_in_the_environment(tmp_path: Path, name: str) -> None:
    """Both mean the same, and neither is the default in silence."""
    in_file, in_environment = OTHER_VALUES.get(name, ("7", "7"))
    file = tmp_path / "juki.toml"
    file.write_text(f"{name} = {in_file}\n", encoding="utf-8")
    one, other = load({}, file), load({f"JUKI_{name.upper()}": in_environment})
    assert getattr(one, name) == getattr(other, name) != getattr(Config(), name)


def test_every_setting_is_used_somewhere() -> None:
    """A setting that is read and then forgotten looks set, and is not: JUKI_KMS_TIMEOUT_SECONDS and font_dir once were."""
    room = Path(config_module.__file__).parent
    code = "\n".join(file.read_text(encoding="utf-8") for file in room.rglob("*.py") if file.name != "config.py")
    read_by = {"home": "home_path", "kms": "kms_spec", "proxies": "proxies_trusted"} | {
        f"dsn_{login}": "dsn(" for login in LOGINS
    }
    unused = [
        name
        for name in Config.__struct_fields__
        if not re.search(rf"\b(config|settings|_config\(request\))\.{re.escape(read_by.get(name, name))}", code)
    ]
    assert unused == []


def test_the_file_in_the_state_folder_is_found(tmp_path: Path) -> None:
    """What `juki db start` wrote is read without being named."""
    (tmp_path / "juki.toml").write_text('dsn_registry = "dbname=x"\n')
    assert load({"JUKI_HOME": str(tmp_path)}).dsn("registry") == "dbname=x"


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"JUKI_PROT": "9000"}, "JUKI_PROT"),
        ({"JUKI_PORT": "many"}, "JUKI_PORT"),
        ({"JUKI_POOL_MAX": "0"}, "JUKI_POOL_MAX"),
        ({"JUKI_KEY_TTL_SECONDS": "-1"}, "JUKI_KEY_TTL_SECONDS"),
        ({"JUKI_KEY_TTL_SECONDS": "nan"}, "JUKI_KEY_TTL_SECONDS"),
        ({"JUKI_KEY_TTL_SECONDS": "inf"}, "JUKI_KEY_TTL_SECONDS"),
        ({"JUKI_LOG_LEVEL": "loud"}, "JUKI_LOG_LEVEL"),
        ({"JUKI_KMS": "vault:x"}, "JUKI_KMS"),
        ({"JUKI_CONFIG": "/nowhere/juki.toml"}, "/nowhere/juki.toml"),
        ({"JUKI_ORIGIN": "juki.example.lg.jp"}, "JUKI_ORIGIN"),
        ({"JUKI_PROXIES": "*"}, "JUKI_PROXIES"),
        ({"JUKI_PROXIES": "10.0.0.5, proxy.example"}, "JUKI_PROXIES"),
        ({"JUKI_PROXIES": "10.0.0.5/8"}, "JUKI_PROXIES"),
        ({"JUKI_ORIGIN": "https://juki.example.lg.jp/"}, "JUKI_ORIGIN"),
        ({"JUKI_ORIGIN": "https://JUKI.example.lg.jp"}, "JUKI_ORIGIN"),
        ({"JUKI_ORIGIN": "http://juki.example.lg.jp"}, "JUKI_COOKIE_SECURE"),
    ],
)
def test_a_wrong_or_unknown_setting_stops_the_start_with_its_name(env: dict[str, str], named: str) -> None:
    """A misspelt limit that is silently ignored is worse than none."""
    with pytest.raises(Misconfigured, match=named):
        load(env)


def test_a_wrong_line_of_the_file_is_named(tmp_path: Path) -> None:
    """Unknown keys and broken TOML alike."""
    file = tmp_path / "juki.toml"
    for text, named in (("prot = 1", "prot"), ("port = ", "juki.toml is not TOML: Invalid value")):
        file.write_text(text)
        with pytest.raises(Misconfigured, match=named):
            load({}, file)


def test_a_missing_address_is_named_and_a_password_never() -> None:
    """What has to be set says so; what is secret is not repeated."""
    with pytest.raises(Misconfigured, match="JUKI_DSN_REKEY"):
        load({"JUKI_DSN_REGISTRY": "password=geheim"}, require=("registry", "rekey"))
    with pytest.raises(Misconfigured) as caught:
        load({"JUKI_DSN_REGISTRY": "password=geheim", "JUKI_PORT": "x"})
    assert "geheim" not in str(caught.value)
    assert "geheim" not in repr(load({"JUKI_DSN_REGISTRY": "password=geheim"}))


@pytest.mark.parametrize(
    ("env", "meant"),
    [
        ({"JUKI_PROT": "1"}, "JUKI_PORT"),
        ({"JUKI_NOTHING_LIKE_IT": "1"}, "take it away"),
        ({"JUKI_CONFIG": "/nowhere/juki.toml"}, "JUKI_CONFIG"),
    ],
)
def test_a_wrong_setting_comes_with_the_next_step(env: dict[str, str], meant: str) -> None:
    """What was probably meant, or what to do instead."""
    with pytest.raises(Misconfigured) as caught:
        load(env)
    assert meant in caught.value.remedy


def test_a_choice_lists_what_it_may_be() -> None:
    """The allowed words, and not the one that was given."""
    with pytest.raises(Misconfigured, match="expected one of live, test") as caught:
        load({"JUKI_ENVIRONMENT": "production"})
    assert "production" not in str(caught.value)


def test_a_file_that_is_not_text_quotes_none_of_its_bytes(tmp_path: Path) -> None:
    """It may hold passwords."""
    file = tmp_path / "juki.toml"
    file.write_bytes(b'dsn_registry = "password=geheim "' + b"\xff\xfe")
    with pytest.raises(Misconfigured, match="not UTF-8") as caught:
        load({}, file)
    assert "geheim" not in repr(caught.value) + caught.value.remedy
    assert caught.value.__cause__ is None
