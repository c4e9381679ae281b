"""One contract for every KMS: the local key store, and AWS KMS by boto3 against a server that speaks its protocol."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber
from moto.server import ThreadedMotoServer

from juki.config import Config as Settings
from juki.problem import Invalid, Misconfigured
from juki.tenancy import kms_of
from juki.vault import (
    KeyDeleted,
    KeyDisabled,
    KeyPendingDeletion,
    KeyState,
    Kms,
    KmsGone,
    KmsRefused,
    KmsSlow,
    LocalKms,
    VaultError,
    WrongRoot,
    new_root,
    open_kms,
    rewrap,
    unwrap,
)
from juki.vault.aws_kms import AwsKms
from juki.vault.faults import AliasTaken

CONTEXT = {"tenant": "072044", "purpose": "seal", "version": "1"}
NOON = dt.datetime(2026, 4, 1, 3, 0, tzinfo=dt.UTC)


class Case(NamedTuple):
    """A KMS under the contract. `enforces_states`: moto lets disabled and dying keys decrypt, which AWS does not."""

    kms: Kms
    enforces_states: bool


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}" if host == "0.0.0.0" else f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["local", "aws"])
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    if request.param == "local":
        return Case(open_kms(f"local:{tmp_path}"), enforces_states=True)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return Case(open_kms("aws:ap-northeast-1", endpoint=request.getfixturevalue("moto")), enforces_states=False)


def alias() -> str:
    """A name no other test uses: the moto server outlives the test."""
    return f"juki-{os.urandom(6).hex()}"


def test_a_key_wraps_and_unwraps_with_its_context(case: Case) -> None:
    """R-1-2.6-RET-05: what is stored can be read only through the tenant's key."""
    key = case.kms.create_key(alias())
    blob = case.kms.encrypt(key, b"root", CONTEXT)
    assert case.kms.decrypt(key, blob, dict(reversed(CONTEXT.items()))) == b"root"
    assert b"root" not in blob


@pytest.mark.parametrize("change", ["context", "blob", "key"])
def test_nothing_unwraps_with_another_context_blob_or_key(case: Case, change: str) -> None:
    """R-1-2.6-RET-04: one tenant's grant is of no use on another tenant's root."""
    key, other = case.kms.create_key(alias()), case.kms.create_key(alias())
    blob = case.kms.encrypt(key, b"root", CONTEXT)
    context = CONTEXT | {"tenant": "075418"} if change == "context" else CONTEXT
    broken = blob[:-1] + bytes((blob[-1] ^ 1,)) if change == "blob" else blob
    with pytest.raises(VaultError) as refused:
        case.kms.decrypt(other if change == "key" else key, broken, context)
    assert refused.value.code in {"vault.kms_refused", "vault.key_deleted"}


def test_a_key_is_found_again_by_its_alias_and_made_only_once(case: Case) -> None:
    name = alias()
    assert case.kms.find_key(name) is None
    key = case.kms.create_key(name)
    assert case.kms.find_key(name) == key
    with pytest.raises(AliasTaken):
        case.kms.create_key(name)


def test_states_follow_one_another(case: Case) -> None:
    """R-1-2.6-RET-04: erasure has two dates, and can be taken back between them."""
    kms = case.kms
    key = kms.create_key(alias())
    assert kms.state(key) is KeyState.ENABLED
    kms.disable(key)
    assert kms.state(key) is KeyState.DISABLED
    kms.enable(key)
    assert kms.state(key) is KeyState.ENABLED
    deletion_at = kms.schedule_deletion(key, 7)
    assert dt.timedelta(days=6) < deletion_at - dt.datetime.now(dt.UTC) <= dt.timedelta(days=8)
    assert kms.state(key) is KeyState.PENDING_DELETION
    kms.cancel_deletion(key)
    assert kms.state(key) is KeyState.DISABLED


def test_an_unknown_key_opens_nothing_and_is_destroyed_only_where_that_can_be_known(case: Case) -> None:
    """R-1-2.6-RET-04: a store that keeps its destroyed keys knows that a key it does not have is another store's."""
    gone = "00000000-0000-4000-8000-000000000000"
    case.kms.create_key(alias())
    if isinstance(case.kms, LocalKms):
        with pytest.raises(KmsGone, match="does not hold this key"):
            case.kms.state(gone)
    else:
        assert case.kms.state(gone) is KeyState.DELETED
    with pytest.raises((KeyDeleted, KmsGone)):
        case.kms.decrypt(gone, b"\x01" * 60, CONTEXT)


@pytest.mark.parametrize("days", [0, 6, 31])
def test_the_deletion_window_is_7_to_30_days(case: Case, days: int) -> None:
    key = case.kms.create_key(alias())
    with pytest.raises(Invalid, match=r"vault\.deletion_window"):
        case.kms.schedule_deletion(key, days)
    assert case.kms.state(key) is KeyState.ENABLED


def test_a_stopped_key_neither_wraps_nor_unwraps(case: Case) -> None:
    """R-1-2.6-RET-04: from the municipality's word on, nothing opens."""
    if not case.enforces_states:
        pytest.skip("moto does not enforce key states; the adapter's mapping is tested with a stub below")
    kms = case.kms
    key = kms.create_key(alias())
    blob = kms.encrypt(key, b"root", CONTEXT)
    for stop, fault in (
        (lambda: kms.disable(key), KeyDisabled),
        (lambda: kms.schedule_deletion(key, 7), KeyPendingDeletion),
    ):
        stop()
        with pytest.raises(fault):
            kms.decrypt(key, blob, CONTEXT)
        with pytest.raises(fault):
            kms.encrypt(key, b"root", CONTEXT)
    kms.cancel_deletion(key)
    with pytest.raises(KeyDisabled):
        kms.decrypt(key, blob, CONTEXT)
    kms.enable(key)
    assert kms.decrypt(key, blob, CONTEXT) == b"root"


def test_a_wrapped_root_is_bound_to_tenant_purpose_and_version(case: Case) -> None:
    """R-1-2.6-RET-05: a root moved to another row of the store does not unwrap; a swapped one is noticed."""
    key = case.kms.create_key(alias())
    one, two = (new_root(case.kms, key, "072044", "seal", v) for v in (1, 2))
    assert unwrap(case.kms, one) != unwrap(case.kms, two)
    with pytest.raises(KmsRefused):
        unwrap(case.kms, type(one)(**{**_fields(one), "tenant": "075418"}))
    with pytest.raises(WrongRoot):
        unwrap(case.kms, type(one)(**{**_fields(one), "commitment": two.commitment}))


def test_a_root_moves_to_a_new_kms_key_unchanged(case: Case) -> None:
    old, new = case.kms.create_key(alias()), case.kms.create_key(alias())
    wrapped = new_root(case.kms, old, "072044", "index", 1)
    moved = rewrap(case.kms, wrapped, new)
    assert moved.key_id == new
    assert moved.commitment == wrapped.commitment
    assert unwrap(case.kms, moved) == unwrap(case.kms, wrapped)


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


# The local key store alone


def test_a_key_is_destroyed_when_its_day_comes_and_not_before(tmp_path: Path) -> None:
    now = [NOON]
    kms = LocalKms(tmp_path, lambda: now[0])
    key = kms.create_key("t")
    kms.encrypt(key, b"root", CONTEXT)
    kms.schedule_deletion(key, 30)
    now[0] += dt.timedelta(days=30, seconds=-1)
    assert kms.state(key) is KeyState.PENDING_DELETION
    now[0] += dt.timedelta(seconds=1)
    assert LocalKms(tmp_path, lambda: now[0]).state(key) is KeyState.DELETED
    assert '"material":""' in (tmp_path / "keys" / f"{key}.json").read_text()
    for call in (kms.enable, kms.disable, kms.cancel_deletion):
        with pytest.raises(KeyDeleted):
            call(key)
    assert kms.find_key("t") is None


def test_files_are_private_and_an_open_one_is_refused(tmp_path: Path) -> None:
    """R-1-2.6-RET-05: key files are for the service's own user."""
    kms = LocalKms(tmp_path)
    key = kms.create_key("t")
    blob = kms.encrypt(key, b"root", CONTEXT)
    file = tmp_path / "keys" / f"{key}.json"
    for path, mode in ((tmp_path, 0o700), (tmp_path / "keys", 0o700), (tmp_path / "master.key", 0o600), (file, 0o600)):
        assert path.stat().st_mode & 0o777 == mode
    file.chmod(0o604)
    with pytest.raises(Misconfigured, match=r"vault\.key_file_open"):
        kms.decrypt(key, blob, CONTEXT)
    file.chmod(0o600)
    (tmp_path / "master.key").chmod(0o644)
    with pytest.raises(Misconfigured, match=r"vault\.key_file_open"):
        LocalKms(tmp_path)


def test_a_lost_master_key_is_said_and_never_replaced(tmp_path: Path) -> None:
    LocalKms(tmp_path).create_key("t")
    (tmp_path / "master.key").unlink()
    with pytest.raises(Misconfigured, match=r"vault\.master_missing"):
        LocalKms(tmp_path)
    assert not (tmp_path / "master.key").exists()


def test_a_half_written_key_file_is_a_fault_and_no_key(tmp_path: Path) -> None:
    kms = LocalKms(tmp_path)
    key = kms.create_key("t")
    file = tmp_path / "keys" / f"{key}.json"
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(KmsGone):
        kms.decrypt(key, b"\x01" * 60, CONTEXT)


def test_lost_aliases_are_found_again_from_the_keys(tmp_path: Path) -> None:
    key = LocalKms(tmp_path).create_key("t")
    shutil.rmtree(tmp_path / "aliases")
    assert LocalKms(tmp_path).find_key("t") == key


def _make_or_lose(path: str) -> str:
    try:
        return LocalKms(Path(path)).create_key("same")
    except AliasTaken:
        return ""


def test_processes_share_one_key_store(tmp_path: Path) -> None:
    """Eight processes start at once on an empty folder: one master key, one winner for one alias."""
    with get_context("fork").Pool(8) as pool:
        made = pool.map(_make_or_lose, [str(tmp_path)] * 8)
    winners = [key for key in made if key]
    assert len(winners) == 1
    assert LocalKms(tmp_path).find_key("same") == winners[0]


def test_threads_share_one_client(tmp_path: Path) -> None:
    kms = LocalKms(tmp_path)
    key = kms.create_key("t")
    with ThreadPoolExecutor(8) as threads:
        blobs = list(threads.map(lambda n: kms.encrypt(key, b"%d" % n, CONTEXT), range(200)))
    assert [kms.decrypt(key, blob, CONTEXT) for blob in blobs] == [b"%d" % n for n in range(200)]


def test_a_spec_is_local_or_aws() -> None:
    for spec in ("", "local:", "gcp:x", "aws:"):
        with pytest.raises(Misconfigured, match=r"vault\.kms_spec"):
            open_kms(spec)


def test_a_damaged_key_file_is_a_fault_of_the_store(tmp_path: Path) -> None:
    """Nobody may take half a file for a destroyed key, and nobody meets a trace."""
    kms = LocalKms(tmp_path)
    key = kms.create_key("t")
    blob = kms.encrypt(key, b"root", CONTEXT)
    file = tmp_path / "keys" / f"{key}.json"
    whole = file.read_text()
    material = whole.partition('"material":"')[2].partition('"')[0]
    for damaged in (material[:-3], material[:8], ""):
        file.write_text(whole.replace(material, damaged))
        with pytest.raises(KmsGone):
            kms.decrypt(key, blob, CONTEXT)


# The boto3 adapter alone: what moto does not enforce, and what only a broken network shows


@pytest.fixture
def stubbed() -> Iterator[tuple[AwsKms, Stubber]]:
    client = boto3.client("kms", region_name="ap-northeast-1", aws_access_key_id="t", aws_secret_access_key="t")
    with Stubber(client) as stubber:
        yield AwsKms("ap-northeast-1", client=client), stubber


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("DisabledException", KeyDisabled),
        ("NotFoundException", KeyDeleted),
        ("AccessDeniedException", KmsRefused),
        ("InvalidCiphertextException", KmsRefused),
        ("IncorrectKeyException", KmsRefused),
        ("ThrottlingException", KmsSlow),
        ("DependencyTimeoutException", KmsSlow),
        ("KMSInternalException", KmsGone),
        ("KeyUnavailableException", KmsGone),
    ],
)
def test_each_answer_of_aws_has_its_fault(stubbed: tuple[AwsKms, Stubber], code: str, fault: type[VaultError]) -> None:
    kms, stubber = stubbed
    stubber.add_client_error("decrypt", code)
    with pytest.raises(fault):
        kms.decrypt("k", b"blob", CONTEXT)
    stubber.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("502", 502),
        ("InternalServerError", 500),
        ("ServiceUnavailableException", 503),
        ("ExpiredTokenException", 400),
        ("RequestExpired", 400),
        ("UnrecognizedClientException", 400),
        ("InvalidSignatureException", 400),
        ("InvalidClientTokenId", 403),
        ("IncompleteSignature", 400),
        ("MissingAuthenticationToken", 403),
    ],
)
def test_a_trouble_of_our_own_or_of_the_road_is_no_refusal(
    stubbed: tuple[AwsKms, Stubber], code: str, status: int
) -> None:
    """T11: only the municipality's no ends the keys at once; a gateway's fault or our stale credentials are an outage."""
    kms, stubber = stubbed
    stubber.add_client_error("decrypt", code, http_status_code=status)
    with pytest.raises(KmsGone):
        kms.decrypt("k", b"blob", CONTEXT)


@pytest.mark.parametrize(
    ("state", "fault"), [("PendingDeletion", KeyPendingDeletion), ("Disabled", KeyDisabled), ("Enabled", KmsRefused)]
)
def test_an_invalid_state_is_named(stubbed: tuple[AwsKms, Stubber], state: str, fault: type[VaultError]) -> None:
    """AWS says only that the state is invalid; staff have to know which."""
    kms, stubber = stubbed
    stubber.add_client_error("decrypt", "KMSInvalidStateException")
    stubber.add_response("describe_key", {"KeyMetadata": {"KeyId": "k", "KeyState": state}}, {"KeyId": "k"})
    with pytest.raises(fault):
        kms.decrypt("k", b"blob", CONTEXT)


def test_aws_is_asked_with_key_and_context(stubbed: tuple[AwsKms, Stubber]) -> None:
    """Naming the key makes AWS refuse a blob of another key."""
    kms, stubber = stubbed
    stubber.add_response(
        "decrypt", {"Plaintext": b"root"}, {"KeyId": "k", "CiphertextBlob": b"blob", "EncryptionContext": CONTEXT}
    )
    assert kms.decrypt("k", b"blob", CONTEXT) == b"root"


def test_an_alias_lost_to_another_process_leaves_no_second_key(stubbed: tuple[AwsKms, Stubber]) -> None:
    kms, stubber = stubbed
    stubber.add_client_error("describe_key", "NotFoundException")
    stubber.add_response("create_key", {"KeyMetadata": {"KeyId": "k"}})
    stubber.add_client_error("create_alias", "AlreadyExistsException")
    stubber.add_response("describe_key", {"KeyMetadata": {"KeyId": "of another"}}, {"KeyId": "alias/t"})
    stubber.add_response("schedule_key_deletion", {"KeyId": "k"}, {"KeyId": "k", "PendingWindowInDays": 7})
    with pytest.raises(AliasTaken):
        kms.create_key("t")
    stubber.assert_no_pending_responses()


def test_an_alias_whose_first_answer_was_lost_keeps_its_key(stubbed: tuple[AwsKms, Stubber]) -> None:
    """T11: the second attempt hears "exists already"; the key that the alias names is the one just made, and lives."""
    kms, stubber = stubbed
    stubber.add_client_error("describe_key", "NotFoundException")
    stubber.add_response("create_key", {"KeyMetadata": {"KeyId": "k"}})
    stubber.add_client_error("create_alias", "AlreadyExistsException")
    stubber.add_response("describe_key", {"KeyMetadata": {"KeyId": "k"}}, {"KeyId": "alias/t"})
    assert kms.create_key("t") == "k"
    stubber.assert_no_pending_responses()


def test_a_kms_is_given_the_time_that_the_settings_say(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """JUKI_KMS_TIMEOUT_SECONDS holds for each answer; three attempts are made."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    settings = Settings(
        kms="aws:ap-northeast-1", kms_endpoint=f"http://127.0.0.1:{silent_port}", kms_timeout_seconds=0.05
    )
    began = time.monotonic()
    with pytest.raises(KmsSlow):
        kms_of(settings).decrypt("k", b"blob", CONTEXT)
    assert time.monotonic() - began < 5


def test_an_unreachable_kms_is_unavailable_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    kms = open_kms("aws:ap-northeast-1", endpoint="http://127.0.0.1:9")
    with pytest.raises(KmsGone) as gone:
        kms.decrypt("k", b"blob", CONTEXT)
    assert gone.value.status == 503


def test_a_silent_kms_is_slow(silent_port: int) -> None:
    config = Config(connect_timeout=0.2, read_timeout=0.2, retries={"max_attempts": 1, "mode": "standard"})
    client = boto3.client(
        "kms",
        region_name="ap-northeast-1",
        endpoint_url=f"http://127.0.0.1:{silent_port}",
        aws_access_key_id="t",
        aws_secret_access_key="t",
        config=config,
    )
    with pytest.raises(KmsSlow) as slow:
        AwsKms("ap-northeast-1", client=client).decrypt("k", b"blob", CONTEXT)
    assert slow.value.status == 503


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_key_store_moved_away_is_gone_and_its_keys_are_not_called_destroyed(tmp_path: Path) -> None:
    """A lost folder must be put back, so nothing may read it as erased keys, nor make an empty store in its place."""
    place, away = tmp_path / "kms", tmp_path / "away"
    running = LocalKms(place)
    key = running.create_key("t")
    blob = running.encrypt(key, b"root", {"tenant": "072044"})
    place.rename(away)
    for kms in (running, LocalKms(place)):
        with pytest.raises(KmsGone):
            kms.decrypt(key, blob, {"tenant": "072044"})
        with pytest.raises(KmsGone):
            kms.state(key)
        with pytest.raises(KmsGone):
            kms.disable(key)
    assert not place.exists()
    away.rename(place)
    assert running.decrypt(key, blob, {"tenant": "072044"}) == b"root"


def test_an_empty_folder_is_a_store_that_is_not_mounted_and_stays_empty(tmp_path: Path) -> None:
    """Looking makes nothing: only the first key makes a store."""
    kms = LocalKms(tmp_path)
    assert kms.find_key("t") is None
    for call in (kms.state, kms.disable, lambda key: kms.encrypt(key, b"root", CONTEXT)):
        with pytest.raises(KmsGone):
            call("00000000-0000-4000-8000-000000000000")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("call", ["open", "find", "create", "disable", "decrypt"])
def test_a_store_that_the_system_refuses_is_gone_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """No permission, a full disk, a broken disk: one kind of answer, with the remedy."""
    kms = LocalKms(tmp_path / "kms")
    key = kms.create_key("t")
    blob = kms.encrypt(key, b"root", CONTEXT)
    calls: dict[str, Any] = {
        "open": lambda: LocalKms(tmp_path / "kms"),
        "find": lambda: kms.find_key("t"),
        "create": lambda: kms.create_key("u"),
        "disable": lambda: kms.disable(key),
        "decrypt": lambda: kms.decrypt(key, blob, CONTEXT),
    }

    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(KmsGone, match="Permission denied") as gone:
        calls[call]()
    assert gone.value.remedy


def test_a_full_disk_leaves_the_key_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half: the state is the old one and no piece of a file lies about."""
    kms = LocalKms(tmp_path)
    key = kms.create_key("t")
    blob = kms.encrypt(key, b"root", CONTEXT)
    before = sorted(path.name for path in (tmp_path / "keys").iterdir())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(KmsGone, match="No space left"):
            kms.disable(key)
        with pytest.raises(KmsGone, match="No space left"):
            kms.create_key("u")
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == before
    assert kms.decrypt(key, blob, CONTEXT) == b"root"
    assert kms.create_key("u")


def test_a_process_without_credentials_says_so_and_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a broken network: whoever runs the process has to give it its role."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    with pytest.raises(Misconfigured, match=r"vault\.kms_credentials"):
        open_kms("aws:ap-northeast-1", endpoint="http://127.0.0.1:9").state("k")


@pytest.mark.parametrize(("region", "endpoint"), [("no where", None), ("ap-northeast-1", "not-an-address")])
def test_a_misspelt_region_or_address_is_named_by_its_setting(region: str, endpoint: str | None) -> None:
    """A fault of the settings is no defect of the program."""
    with pytest.raises(Misconfigured, match="JUKI_KMS_ENDPOINT") as caught:
        open_kms(f"aws:{region}", endpoint=endpoint)
    assert caught.value.code == "config.wrong"
    assert caught.value.remedy
