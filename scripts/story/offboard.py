"""Step 11: the second municipality leaves with its data; what is left is erased, and the proof says no more than was seen."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from story.clerk import _OTP
from story.world import HIRONO, IWAKI, World, proved

ASKS, APPROVES, AUDITS = "oowada.k", "suzuki.h", "nemoto.e"
TERMINAL = "HRN-HON-09"


class Office:
    """Persons of the municipality at their command line; every one-time code is used once."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        self.secrets = world.shared["secrets"][HIRONO]
        place = next(t for t in self.secrets["terminals"] if t["id"] == TERMINAL)
        self.terminal = folder / "terminal"
        self.terminal.write_text(place["token"])
        self.terminal.chmod(0o600)
        self._steps: dict[str, int] = {}

    def run(self, verb: str, *arguments: str, who: str = "", check: bool = True) -> Any:
        """One verb of `juki offboard`."""
        given = ["offboard", verb, "--tenant", HIRONO, "--json", *arguments]
        typed = None
        if who:
            given += ["--as", who, "--terminal", str(self.terminal)]
            typed = self._typed(who)
        done = self.world.juki(*given, stdin=typed, check=check)
        return json.loads(done.out.strip().splitlines()[-1])

    def _typed(self, who: str) -> str:
        person = next(p for p in self.secrets["operators"] if p["login"] == who)
        # a code may be one step early or late; only a person who comes back at once has to wait for the next one
        step = max(self._steps.get(who, 0) + 1, int(time.time()) // 30)
        while step > int(time.time()) // 30 + 1:
            time.sleep(1)
        self._steps[who] = step
        return f"{person['password']}\n{_OTP.code(person['otp_secret'], step * 30)}\n"

    def signatory(self, who: str, title: str, code: str = "") -> str:
        """A person's file, as the certificate will name them."""
        person = next(p for p in self.secrets["operators"] if p["login"] == who)
        path = self.folder / f"{who}.toml"
        path.write_text(
            f'name = "{person["name"]}"\ntitle = "{title}"\norganisation = "広野町{person["office"]}"\n'
            f'place = "広野町役場"\ncontact = "代表"\ncode = "{code}"\n'
        )
        path.chmod(0o600)
        return str(path)


def run(world: World) -> dict[str, object]:
    """Ask, approve, hand over, take back and compare, erase, verify, validate, certify."""
    folder = world.out / "offboard"
    folder.mkdir(exist_ok=True, mode=0o700)
    office = Office(world, folder)
    iwaki = world.juki("offboard", "digest", "--tenant", IWAKI, "--json").json["sha256"]
    _keys(folder)
    office.run("backup", "--out", str(folder / "before.dump"))
    asked = office.run("request", "--public-key", str(folder / "public.pem"), who=ASKS)
    refused = office.run("approve", "--fingerprint", asked["fingerprint"], who=ASKS, check=False)
    proved(
        refused["error"]["code"] in ("offboarding.same_person", "access.right_missing"),
        "the same person may not approve",
    )
    office.run("approve", "--fingerprint", asked["fingerprint"], who=APPROVES)
    codes = {}
    for duty, who in (("verified", AUDITS), ("validated", APPROVES)):
        office.run("appoint", "--duty", duty, "--out", str(folder / f"{duty}.code"), who=who)
        codes[duty] = (folder / f"{duty}.code").read_text().strip()
    exported = office.run("export", "--out", str(folder / "export"), who=ASKS)
    proved(exported["balanced"], "the export balances with the register")
    world.juki(
        "offboard", "open", "--export", str(folder / "export"), "--key", str(folder / "private.pem"),
        "--out", str(folder / "opened"), "--json",
    )  # fmt: skip
    compared = office.run("compare", "--opened", str(folder / "opened"))
    proved(compared["equal"], "taken into a scratch municipality under other keys it comes out the same")
    person = office.signatory(ASKS, "総務課長")
    erased = office.run("erase", "--person", person, "--grace", "0", who=ASKS)
    proved(erased["state"] == "erased", "every step of the erasure has its result")
    verified = office.run(
        "verify", "--person", office.signatory(AUDITS, "主査", codes["verified"]), "--dump", str(folder / "before.dump")
    )
    proved(verified["checks"]["復元した控え"] == "opens nothing", "a dump taken before is restored and opens nothing")
    office.run("validate", "--person", office.signatory(APPROVES, "町民税務課長", codes["validated"]))
    issued = office.run("certificate")
    after = world.juki("offboard", "digest", "--tenant", IWAKI, "--json").json["sha256"]
    proved(after == iwaki, "いわき市 is untouched, byte for byte")
    certificate = json.loads(Path(issued["json"]).read_text())["certificate"]
    return {
        "proved": "広野町のデータは引き渡され、消去され、証明書が発行されました。いわき市は1バイトも変わっていません",
        "residents": exported["residents"], "compared_rows": compared["rows"],
        "erased_at": certificate["erased_at"], "key_deletion_due": certificate["key_deletion_due"],
        "conditions": {c["id"]: c["met"] for c in certificate["conditions"]},
        "method": issued["method"], "final": issued["final"], "json": issued["json"], "pdf": issued["pdf"],
    }  # fmt: skip


def _keys(folder: Path) -> None:
    """The municipality's own pair; its private half never comes near the platform in earnest."""
    from juki.vault.box import new_key_pair

    private, public = new_key_pair()
    (folder / "private.pem").write_bytes(private)
    (folder / "private.pem").chmod(0o600)
    (folder / "public.pem").write_bytes(public)
