"""Settings of one process: read once from a TOML file and the environment, checked whole, then never changed.

The environment wins over the file. Every name is spelled `JUKI_<NAME>` in the environment and `<name>` in the file; a
name nobody knows stops the start, because a misspelt limit that is silently ignored is worse than none.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from juki.problem import Misconfigured

PREFIX: Final = "JUKI_"
_OUTSIDE: Final = frozenset({"CONFIG", "ADMIN_DSN"})
"""Names that a person or a command uses and no process keeps."""
_TESTS_ONLY: Final = "TEST_"
_ORIGIN: Final = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?|https?://\[[0-9a-f:]+\](:[0-9]{1,5})?")
"""As a browser writes it: compared letter by letter."""

Login: TypeAlias = Literal["registry", "rekey", "deploy", "control"]
LOGINS: Final[tuple[Login, ...]] = ("registry", "rekey", "deploy", "control")

Positive: TypeAlias = float


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything one process may be told from outside; times in seconds, sizes in bytes."""

    home: str = ".juki"
    dsn_registry: str = ""
    dsn_rekey: str = ""
    dsn_deploy: str = ""
    dsn_control: str = ""
    kms: str = ""
    kms_endpoint: str = ""
    kms_timeout_seconds: Positive = 2.0
    key_ttl_seconds: Positive = 300.0
    directory_ttl_seconds: Positive = 15.0
    pool_max: int = 8
    pool_wait_seconds: Positive = 5.0
    pool_queue_max: int = 200
    statement_timeout_seconds: Positive = 30.0
    lock_timeout_seconds: Positive = 5.0
    bulk_timeout_seconds: Positive = 3600.0
    argon2_passes: int = 3
    argon2_memory_kib: int = 65_536
    font_dir: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    cookie_secure: bool = True
    origin: str = ""
    proxies: str = ""
    environment: Literal["live", "test"] = "live"
    body_max_bytes: int = 1_048_576
    request_timeout_seconds: Positive = 30.0
    requests_max: int = 64
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __repr__(self) -> str:
        return f"<Config home={self.home} kms={self.kms_spec}>"  # a DSN carries a password

    def dsn(self, login: Login) -> str:
        """Connection string of one login; Misconfigured names the setting when it is empty."""
        value: str = getattr(self, f"dsn_{login}")
        if not value:
            name = setting_of(login)
            raise Misconfigured(
                "config.missing", f"{name} is not set", remedy=f"set {name}, or run `juki db start` for a local server"
            )
        return value

    def need_origin(self) -> None:
        """Misconfigured where a service behind TLS does not know its own address: what a caller writes into the Host header
        would then decide which tokens of machines, and which pages' requests, are taken for ours.
        """
        if self.cookie_secure and not self.origin:
            raise Misconfigured(
                "config.origin_missing",
                f"{PREFIX}ORIGIN is not set",
                remedy=f"set {PREFIX}ORIGIN to the address that browsers and systems use, e.g. https://juki.example.lg.jp;"
                f" only over plain http on this machine alone, set {PREFIX}COOKIE_SECURE=false instead",
            )

    @property
    def proxies_trusted(self) -> list[str]:
        """Addresses and networks of the TLS proxies in front: only they are believed about whom they speak for."""
        return [one.strip() for one in self.proxies.split(",") if one.strip()]

    @property
    def home_path(self) -> Path:
        """State folder: local server, local keys, logs, exported checkpoints."""
        return Path(self.home)

    @property
    def kms_spec(self) -> str:
        """`local:PATH` or `aws:REGION`; without a setting, the local store under the state folder."""
        return self.kms or f"local:{self.home_path / 'kms'}"


def setting_of(login: Login) -> str:
    """Name of the setting with a login's connection string."""
    return f"{PREFIX}DSN_{login.upper()}"


def load(env: Mapping[str, str], file: Path | None = None, *, require: tuple[Login, ...] = ()) -> Config:
    """Config of `file` overlaid by `env`; Misconfigured names the first setting that is missing, unknown or wrong."""
    given = _from_environment(env)
    path = file or _file_of(env, given)
    settings = {**_from_file(path), **given} if path else given
    config = _checked(settings)
    for login in require:
        config.dsn(login)
    return config


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    known = set(Config.__struct_fields__)
    for name, value in env.items():
        bare = name.removeprefix(PREFIX)
        if bare == name or bare in _OUTSIDE or bare.startswith(_TESTS_ONLY):
            continue
        if bare.lower() not in known:
            raise Misconfigured("config.unknown", f"{name} is not a setting", remedy=_meant(bare.lower(), PREFIX))
        settings[bare.lower()] = value
    return settings


def _file_of(env: Mapping[str, str], given: Mapping[str, Any]) -> Path | None:
    """The file named by JUKI_CONFIG must exist; the one in the state folder is read where it does."""
    if named := env.get(f"{PREFIX}CONFIG"):
        return Path(named)
    local = Path(str(given.get("home", Config().home))) / "juki.toml"
    return local if local.exists() else None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        # the driver of text quotes the bytes, and the file holds passwords
        raise Misconfigured("config.not_toml", f"{path} is not UTF-8 text", remedy="save it as UTF-8") from None
    except OSError as e:
        raise Misconfigured(
            "config.unreadable",
            f"cannot read {path} ({e.strerror})",
            remedy="name a readable TOML file in JUKI_CONFIG, or leave JUKI_CONFIG out",
        ) from e
    except tomllib.TOMLDecodeError as e:
        raise Misconfigured("config.not_toml", f"{path} is not TOML: {e}", remedy="correct the line named") from e
    for name in settings:
        if name not in Config.__struct_fields__:
            raise Misconfigured("config.unknown", f"{name} in {path} is not a setting", remedy=_meant(name, ""))
    return settings


def _checked(settings: dict[str, Any]) -> Config:
    try:
        config = msgspec.convert(settings, Config, strict=False)
    except msgspec.ValidationError as e:
        # the message names the path and the expected type, never the value: a DSN carries a password
        name, said = _field_of(str(e)), str(e).partition(" - at ")[0]
        raise Misconfigured(
            "config.wrong", f"{PREFIX}{name.upper()}: {_expectation(name, said)}", remedy=_remedy()
        ) from None
    for name in Config.__struct_fields__:
        value = getattr(config, name)
        if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value < math.inf:
            raise Misconfigured("config.wrong", f"{PREFIX}{name.upper()} must be a number above zero", remedy=_remedy())
    if not config.kms_spec.startswith(("local:", "aws:")):
        raise Misconfigured("config.wrong", "JUKI_KMS must be local:PATH or aws:REGION", remedy=_remedy())
    if config.origin and not _ORIGIN.fullmatch(config.origin):
        expected = "https://HOST or https://HOST:PORT in small letters, without a path"
        raise Misconfigured("config.wrong", f"{PREFIX}ORIGIN must be {expected}", remedy=_remedy())
    if not all(_is_network(one) for one in config.proxies_trusted):
        expected = "addresses or networks with commas between them, e.g. 10.0.0.5,10.0.1.0/24"
        raise Misconfigured("config.wrong", f"{PREFIX}PROXIES must be {expected}", remedy=_remedy())
    if config.cookie_secure and config.origin.startswith("http:"):
        raise Misconfigured(
            "config.wrong", f"{PREFIX}ORIGIN must be https while {PREFIX}COOKIE_SECURE is on", remedy=_remedy()
        )
    return config


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _expectation(name: str, message: str) -> str:
    """What is expected; a choice is listed, and no value is quoted."""
    if not message.startswith("Invalid enum value"):
        return f"{message[:1].lower()}{message[1:]}"
    kind: Any = next(field.type for field in msgspec.structs.fields(Config) if field.name == name)
    return f"expected one of {', '.join(get_args(kind))}"


def _field_of(message: str) -> str:
    return message.rpartition("$.")[2].strip("`'\" ")


def _meant(name: str, prefix: str) -> str:
    near = difflib.get_close_matches(name, Config.__struct_fields__, n=1)
    meant = prefix + near[0] if near else ""
    shown = meant.upper() if prefix else meant
    return f"did you mean {shown}?" if meant else f"take it away; {_remedy()}"


def _remedy() -> str:
    return "`juki config-check` lists every setting"
