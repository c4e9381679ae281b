"""移行レイアウト as staff change it: a slip of the pen stops the import before the first row, by the name of what is wrong."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from juki.legacy import load_layout
from juki.problem import Misconfigured


@pytest.mark.parametrize(
    ("layout", "old", "new", "said"),
    [
        ("cp932-fixed", 'earlier = ["RIREKI.DAT"]', 'earlier = ["RIREKI.DTA"]', "earlier"),
        (
            "cp932-fixed",
            'title = "旧氏", to = "basic.former_surname"',
            'title = "旧氏", to = "basic.name"',
            "basic.name",
        ),
        ("utf8-csv", 'title = "旧氏", to', 'title = "氏名", to', "氏名"),
        ("cp932-fixed", '"1" = "remarks"', '"1" = "remark"', "記事区分"),
        ("cp932-fixed", '"21" = "relocate"', '"21" = "relocation"', "異動事由"),
        ("cp932-fixed", '"1" = "resident"', '"1" = "living"', "住民状態"),
        ("utf8-csv", '"2" = "alias"', '"2" = "nickname"', "氏名優先区分"),
        ("cp932-fixed", 'names = ["BIKO.DAT"]', 'names = ["SETAI.DAT"]', "twice"),
    ],
)
def test_a_slip_in_a_copied_layout_is_told_before_the_first_row(
    tmp_path: Path, layout: str, old: str, new: str, said: str
) -> None:
    """R-1-2.6-MIG-01: a name from the wrong column, or a word nobody knows, would stand in the register for good."""
    text = (files("juki.legacy") / "layouts" / f"{layout}.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(Misconfigured) as refused:
        load_layout(str(path))
    assert refused.value.code == "legacy.layout_wrong"
    assert said in refused.value.detail
