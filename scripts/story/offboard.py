"""Step 11: the second municipality leaves: asked, approved, handed over, erased, verified, validated, certified."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from story.clerk import code_at
from story.world import HIRONO, IWAKI, World, proved

ASKS, APPROVES, HANDS_OVER, AUDITS = "oowada.k", "suzuki.h", "ogata.r", "watabe.s"

_SIGNATORY = """name = "{name}"
title = "{title}"
organisation = "広野町{office}"
place = "広野町役場"
contact = "内線 101"
code = "{code}"
"""


def run(world: World) -> dict[str, object]:
    """The whole road of leaving, each stretch by the person whose duty it is; the neighbour stays byte for byte."""
    folder = world.home / "leaving"
    folder.mkdir(mode=0o700)
    desk = Desk(world, folder)
    key_files(folder)
    untouched = world.juki("offboard", "digest", "--tenant", IWAKI, "--json").json["sha256"]
    codes = ask_and_approve(desk)
    dump = folder / "before.dump"
    desk.plain("backup", "--out", str(dump))
    exported = hand_over(desk)
    erased = desk.act("erase", ASKS, "--person", desk.signatory("実施者　太郎", "課長", "総務課"), "--grace", "0")
    proved(erased["state"] == "erased", "the municipality is erased")
    again = desk.plain("erase")
    proved(again["state"] == "erased", "erasing again changes nothing")
    verified = desk.plain(
        "verify", "--person", desk.signatory("検証者　花子", "主査", "総務課", codes["verified"]), "--dump", str(dump)
    )
    desk.plain("validate", "--person", desk.signatory("確認者　次郎", "課長", "町民税務課", codes["validated"]))
    issued = desk.plain("certificate")
    papers = keep_papers(world, issued)
    gone(world)
    after = world.juki("offboard", "digest", "--tenant", IWAKI, "--json").json["sha256"]
    proved(after == untouched, "いわき市 is untouched, byte for byte")
    status = desk.plain("status")
    return {
        "proved": "申出・承認・引渡し・消去・検証・証明まで終わり、控えを戻しても開きません。いわき市は1バイトも変わりません",
        "exported": exported, "steps": len(status["steps"]), "verified": verified, "certificate": issued,
        "papers": papers, "neighbour_digest": after,
    }  # fmt: skip


class Desk:
    """The municipality's own command line: each person signs in with password and one-time code."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.secrets = world.shared["secrets"][HIRONO]
        self.used: dict[str, int] = {}
        token = next(t["token"] for t in self.secrets["terminals"] if "admin" in t["functions"])
        self.terminal = folder / "terminal"
        self.terminal.write_text(token)
        self.terminal.chmod(0o600)

    def act(self, verb: str, who: str, *arguments: str, code: int = 0) -> Any:
        """One verb by a person; `code` is the exit code expected."""
        given = ["offboard", verb, "--tenant", HIRONO, "--as", who, "--terminal", str(self.terminal), *arguments]
        done = self.world.juki(*given, "--json", stdin=self._typed(who), check=False)
        proved(
            done.code == code,
            f"offboard {verb} by {who} ends with {code}: {done.code} {done.out[-400:]}{done.err[-400:]}",
        )
        return json.loads(done.out.strip().splitlines()[-1])

    def plain(self, verb: str, *arguments: str) -> Any:
        """One verb of the operator, who sees no resident."""
        return self.world.juki("offboard", verb, "--tenant", HIRONO, *arguments, "--json").json

    def signatory(self, name: str, title: str, office: str, code: str = "") -> str:
        """File of a person who signs."""
        path = self.folder / f"person-{len(list(self.folder.glob('person-*')))}.toml"
        path.write_text(_SIGNATORY.format(name=name, title=title, office=office, code=code), encoding="utf-8")
        path.chmod(0o600)
        return str(path)

    def _typed(self, who: str) -> str:
        person = next(p for p in self.secrets["operators"] if p["login"] == who)
        step = max(self.used.get(who, 0) + 1, int(time.time()) // 30)
        while step > int(time.time()) // 30 + 1:  # a clock may be one step off, not two
            time.sleep(0.5)
        self.used[who] = step
        return f"{person['password']}\n{code_at(person['otp_secret'], step * 30)}\n"


def key_files(folder: Path) -> None:
    """The municipality's own key pair; the private half never reaches the platform."""
    private = X25519PrivateKey.generate()
    (folder / "private.pem").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    (folder / "private.pem").chmod(0o600)
    (folder / "public.pem").write_bytes(
        private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def ask_and_approve(desk: Desk) -> dict[str, str]:
    """申出 by one person, 承認 by another; the first cannot do the second's part."""
    asked = desk.act("request", ASKS, "--public-key", str(desk.folder / "public.pem"))
    refused = desk.act("approve", HANDS_OVER, "--fingerprint", asked["fingerprint"], code=1)
    proved(refused["error"]["code"] == "access.right_missing", "who may ask may not approve")
    desk.act("approve", APPROVES, "--fingerprint", asked["fingerprint"])
    codes: dict[str, str] = {}
    for duty, who in (("verified", AUDITS), ("validated", APPROVES)):
        out = desk.folder / f"code-{duty}"
        desk.act("appoint", who, "--duty", duty, "--out", str(out))
        codes[duty] = out.read_text().strip()
    return codes


def hand_over(desk: Desk) -> dict[str, Any]:
    """The export, sealed to the municipality's key; opened by it and imported into a scratch municipality: equal."""
    out, opened = desk.folder / "export", desk.folder / "opened"
    exported = desk.act("export", HANDS_OVER, "--out", str(out))
    proved(exported["balanced"], "the export's reconciliation balances")
    desk.world.juki(
        "offboard",
        "open",
        "--export",
        str(out),
        "--key",
        str(desk.folder / "private.pem"),
        "--out",
        str(opened),
        "--json",
    )
    compared = desk.plain("compare", "--opened", str(opened))
    proved(compared["equal"], "re-imported, the export equals the register")
    shutil.rmtree(opened)
    return {"balanced": exported["balanced"], "compared": compared}


def keep_papers(world: World, issued: dict[str, Any]) -> list[str]:
    """Copies of the evidence in the run's folder."""
    kept: list[str] = []
    for path in {Path(v) for v in issued.values() if isinstance(v, str) and v.startswith("/") and Path(v).is_file()}:
        shutil.copy(path, world.out / path.name)
        kept.append(path.name)
    proved(any(name.endswith(".pdf") for name in kept), "the certificate is on paper")
    proved(any(name.endswith(".json") for name in kept), "and as JSON")
    return sorted(kept)


def gone(world: World) -> None:
    """The console of the municipality answers as if it had never been there."""
    answer = httpx.get(f"{world.url}/{HIRONO}/login", timeout=20)
    proved(answer.status_code in (403, 404), f"the municipality's console is gone ({answer.status_code})")
