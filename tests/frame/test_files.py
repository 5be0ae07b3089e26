"""Outputs are built beside their place and swapped in; nothing of the user's is overwritten unasked."""

from pathlib import Path

import pytest

from ahsct.errors import RequestError
from ahsct.files import file_hash, json_hash, new_file, new_folder, require_apart


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_only_when_the_block_ends_well(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError), new_folder(tmp_path / "out") as work:
        work.write_text("a folder cannot be written as a file")
    assert names(tmp_path) == []
    with new_folder(tmp_path / "out") as work:
        (work / "a.txt").write_text("a")
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out" / "a.txt").read_text() == "a"


def test_ours_is_replaced_whole_and_a_failure_keeps_the_old(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with new_folder(out) as work:
        (work / "old.txt").write_text("old")
    with pytest.raises(ValueError, match="no"), new_folder(out) as work:
        raise ValueError("no")
    assert (out / "old.txt").read_text() == "old"
    with new_folder(out) as work:
        (work / "new.txt").write_text("new")
    assert "old.txt" not in names(out)
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("change", ["edit", "add", "remove", "link", "marker"])
def test_what_somebody_changed_since_is_not_ours_any_more(change: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for _ in range(2):  # unchanged, it is replaced without asking
        with new_folder(out) as work:
            (work / "deep").mkdir()
            (work / "deep" / "a.csv").write_text("1")
            (work / "b.csv").write_text("2")
    if change == "edit":
        (out / "deep" / "a.csv").write_text("3")
    elif change == "add":
        (out / "deep" / "notes.txt").write_text("mine")
    elif change == "remove":
        (out / "b.csv").unlink()
    elif change == "link":
        (out / "c.csv").symlink_to(out / "b.csv")
    else:
        (out / ".ahsct").write_text("written by ahsct\n")
    before = names(out)
    with pytest.raises(RequestError, match="was changed since ahsct wrote it"), new_folder(out):
        pass
    assert names(out) == before
    with new_folder(out, force=True) as work:
        (work / "new.txt").write_text("x")
    assert names(out) == [".ahsct", "new.txt"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("IO Error: File too large")]
)
def test_a_full_disk_is_no_fault_of_ours(error: Exception, tmp_path: Path) -> None:
    for place in (new_folder(tmp_path / "out"), new_file(tmp_path / "file")):
        with pytest.raises(RequestError, match="Make room"), place:
            raise error
    assert names(tmp_path) == []


def test_nothing_is_written_over_what_is_read(tmp_path: Path) -> None:
    source = tmp_path / "study"
    (source / "sub").mkdir(parents=True)
    for out in (source, tmp_path, source / "sub" / ".."):
        with pytest.raises(RequestError, match="is the source, or holds it"):
            require_apart(out, source)
        with pytest.raises(RequestError, match="is the source, or holds it"):
            require_apart(out, f"duckdb:{source}")
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(RequestError, match="is the source"):
        require_apart(tmp_path / "link", source)
    with pytest.raises(RequestError, match="lies in the source"):
        require_apart(source / "new", source, may_lie_inside=False)
    require_apart(source / "new", source)  # a report inside a study's folder is no table of it
    require_apart(tmp_path / "other", source, may_lie_inside=False)
    require_apart(source, "postgresql://host/study")


def test_a_folder_that_is_not_ours_needs_force(tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter.txt").write_text("years of work")
    with pytest.raises(RequestError, match="not written by ahsct"), new_folder(out):
        pass
    assert (out / "chapter.txt").read_text() == "years of work"
    with new_folder(out, force=True) as work:
        (work / "report.txt").write_text("x")
    assert "chapter.txt" not in names(out)


def test_the_current_folder_and_a_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="never replaced"), new_folder(".", force=True):
        pass
    (tmp_path / "f").write_text("x")
    with pytest.raises(RequestError, match="is a file"), new_folder("f", force=True):
        pass


def test_a_file_needs_force_and_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "problems.csv"
    with new_file(out) as path:
        path.write_text("one")
    with pytest.raises(RequestError, match="exists"), new_file(out):
        pass
    with pytest.raises(NotADirectoryError), new_file(out, force=True) as path:
        (path / "x").write_text("a file is no folder")
    assert out.read_text() == "one"
    assert names(tmp_path) == ["problems.csv"]


def test_hashes_are_the_known_sha256(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert file_hash(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    # printf '{"a":1}' | sha256sum
    assert json_hash({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
