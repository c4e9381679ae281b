"""Every code of the vault has its sentence, and no sentence stands without a code."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import juki.vault
from juki.vault import faults

HOME = Path(inspect.getfile(juki.vault)).parent


def test_each_code_tells_staff_what_happened_and_what_to_do() -> None:
    texts = tomllib.loads((HOME / "messages.toml").read_text(encoding="utf-8"))["vault"]
    raised = {code for file in HOME.glob("*.py") for code in re.findall(r'"vault\.([a-z_]+)"', file.read_text("utf-8"))}
    assert raised == set(texts)
    for text in texts.values():
        assert text.count("。") >= 2
        assert text.endswith("。")


def test_each_fault_has_its_own_code_and_a_public_status() -> None:
    kinds = [kind for _, kind in inspect.getmembers(faults, inspect.isclass) if issubclass(kind, faults.VaultError)]
    assert len({kind.code for kind in kinds}) == len(kinds) == 14
    assert {kind().status for kind in kinds} == {403, 409, 500, 503}
