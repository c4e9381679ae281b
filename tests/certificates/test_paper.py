"""紙: fonts are found or their absence is said with the remedy; a broken template tells no value."""

from __future__ import annotations

from pathlib import Path

import pytest

from juki import paper
from juki.problem import Invalid, JukiError, Misconfigured


def test_a_missing_font_names_the_folders_and_the_remedy(tmp_path: Path) -> None:
    """Bad set-up has one clear message."""
    with pytest.raises(Misconfigured) as caught:
        paper.find_font((tmp_path, tmp_path / "absent"))
    assert caught.value.code == "paper.font_missing"
    assert str(tmp_path) in caught.value.detail
    assert "scripts/setup" in caught.value.remedy


def test_the_setting_comes_before_the_state_folder_and_the_system(tmp_path: Path) -> None:
    """JUKI_FONT_DIR, then JUKI_HOME/fonts, then the checkout's, then the system's fonts."""
    dirs = paper.font_dirs({"JUKI_FONT_DIR": str(tmp_path), "JUKI_HOME": "/srv/juki"})
    checkout = Path(paper.__file__).resolve().parents[2]
    assert dirs == (tmp_path, Path("/srv/juki/fonts"), checkout / ".juki" / "fonts", Path("/usr/share/fonts"))
    assert paper.font_dirs({})[0] == Path(".juki/fonts")


def test_the_file_of_settings_names_the_folder_as_well_as_the_environment_does(tmp_path: Path) -> None:
    """What `juki config-check` lists as set is what papers are printed with."""
    file = tmp_path / "juki.toml"
    file.write_text(f'font_dir = "/srv/faces"\nhome = "{tmp_path}"\n', encoding="utf-8")
    for env in ({"JUKI_CONFIG": str(file)}, {"JUKI_HOME": str(tmp_path)}):
        assert paper.font_dirs(env)[:2] == (Path("/srv/faces"), tmp_path / "fonts")
    assert paper.font_dirs({"JUKI_CONFIG": str(file), "JUKI_FONT_DIR": "/srv/other"})[0] == Path("/srv/other")


def test_a_font_deep_in_an_unpacked_package_is_found(tmp_path: Path) -> None:
    """dpkg -x leaves usr/share/fonts/truetype/... under the folder."""
    deep = tmp_path / "usr" / "share" / "fonts"
    deep.mkdir(parents=True)
    (deep / paper.FONT_FILE).write_bytes(b"")
    assert paper.find_font((tmp_path,)) == deep / paper.FONT_FILE


def test_every_mapped_sequence_ends_at_a_glyph_that_the_font_has() -> None:
    """The table of equal glyphs matches the installed font: no row leads nowhere."""
    font = paper.mincho()
    assert len(font.equal) > 6000
    for (base, _), other in font.equal.items():
        assert ord(base) in font.characters
        assert (base, other) in font.sequences


def test_settling_changes_nothing_that_the_font_can_draw() -> None:
    """A stored name is printed as stored: compatibility ideographs are not unified."""
    for text in ("渡邉　太郎", "\ufa19谷", "葛\U000e0102城", "𠮷野家", "髙﨑"):
        assert paper.mincho().settle(text) == text


def test_a_fault_of_the_template_is_told_without_the_text_it_met(tmp_path: Path) -> None:
    """No personal data outside the seals: the compiler quotes what it could not set, and that is cut off."""
    template = tmp_path / "broken.typ"
    template.write_text("#let d = json(bytes(sys.inputs.data))\n#panic(d.name)", encoding="utf-8")
    with pytest.raises(JukiError) as caught:
        paper.pdf(template, {"name": "渡邉　太郎"}, stamp=0)
    assert caught.value.code == "paper.template_broken"
    assert "渡邉" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_character_without_a_glyph_never_becomes_an_empty_box(tmp_path: Path) -> None:
    """Second net under `settle`: the archival profile refuses a text that the font cannot show."""
    template = tmp_path / "plain.typ"
    source = '#set text(font: "IPAmjMincho", fallback: false)\n#json(bytes(sys.inputs.data)).name'
    template.write_text(source, encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        paper.pdf(template, {"name": "\ue000"}, stamp=0)
    assert caught.value.code == "paper.glyph_missing"


@pytest.mark.parametrize("left", [0, 100, 0.5, 0.99])
def test_a_damaged_font_is_named_and_draws_nothing(tmp_path: Path, left: float) -> None:
    """Half a copy of the font must not print other glyphs than it should, nor end as a defect."""
    whole = paper.find_font().read_bytes()
    damaged = tmp_path / paper.FONT_FILE
    damaged.write_bytes(whole[: int(left if left in (0, 100) else len(whole) * left)])
    with pytest.raises(Misconfigured) as caught:
        paper.mincho(damaged)
    assert caught.value.code == "paper.font_damaged"
    assert str(damaged) in str(caught.value)
    assert "scripts/setup" in caught.value.remedy
