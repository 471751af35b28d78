from __future__ import annotations

from pathlib import Path

import pytest

from pkpd import library
from pkpd.errors import ModelError

REPOSITORY = Path(__file__).resolve().parent.parent


def test_names_are_the_files() -> None:
    assert library.names() == tuple(sorted(path.stem for path in (REPOSITORY / "models").glob("*.toml")))


def test_load_by_name() -> None:
    model = library.load("ketamine_kamp2020")
    assert model.name == "ketamine_kamp2020"
    assert "cp" in model.outputs


def test_load_by_path_finds_what_it_includes(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'title = "linked"\n[include]\nketamine = "ketamine_kamp2020"\n'
        '[parameters]\nslope = { typical = 2.0, unit = "L/mg" }\n'
        "[dynamics]\nequations = '''\neffect = slope * ketamine.cp\n'''\n"
        '[outputs]\neffect = { unit = "1" }\n',
        encoding="utf-8",
    )
    model = library.load(mine)
    assert "ketamine.cl" in model.parameters


@pytest.mark.parametrize(
    "name, says",
    [
        ("ketamine_kamp2002", "Did you mean `ketamine_kamp2020`"),
        ("", "There is no model"),
        ("zzz", "pkpd models"),
        ("nowhere.toml", "no such file"),
        ("../etc/passwd", "no such file"),
    ],
)
def test_what_is_not_there(name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        library.load(name)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "a.toml").mkdir()
    with pytest.raises(ModelError, match="This is a folder"):
        library.load(tmp_path / "a.toml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match=r"a\.toml"):
        library.load(tmp_path / "a.toml")


def test_a_name_without_its_ending_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"write mine\.toml"):
        library.load("mine")


def test_every_entry_says_where_it_comes_from() -> None:
    entries = library.catalogue()
    assert len(entries) == len(library.names())
    for entry in entries:
        assert entry.title and entry.structure, entry.name
        assert entry.mark in ("full text", "abstract", "secondary", "recalled"), entry.name
        if "template" not in entry.tags:
            assert entry.reference, entry.name
            assert entry.drug in entry.name, entry.name


def test_a_word_narrows_the_list() -> None:
    found = [entry.name for entry in library.catalogue("Venous")]
    assert "ketamine_otto2021" in found
    assert "ketamine_kamp2020" not in found
    assert library.catalogue("no such word") == ()


def test_entries_split_drug_and_structure() -> None:
    (entry,) = library.catalogue("ketamine_kamp2020")
    assert (entry.drug, entry.structure) == ("ketamine", "three compartments, arterial (meta-analysis)")


def test_a_wheel_has_the_library_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tmp_path / "_library" / "models"
    inside.mkdir(parents=True)
    monkeypatch.setattr(library, "_PACKAGE", tmp_path)
    assert library.folder("models") == inside
    with pytest.raises(ModelError, match="library of fits is missing"):
        library.folder("fits")


def test_fits_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    assert library.find_fit(tmp_path) == tmp_path
    assert library.find_fit("ketamine_fatigue").name == "ketamine_fatigue"
    with pytest.raises(ModelError, match="Did you mean `ketamine_fatigue`"):
        library.find_fit("ketamine_fatige")


def test_a_copy_of_a_fit_leaves_nothing_behind_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    done: list[object] = []

    def full(source: object, target: Path) -> None:
        if done:
            raise OSError(28, "No space left on device")
        done.append(Path(target).touch())

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ModelError, match="No space left"):
        library.copy_fit("ketamine_fatigue", tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []
