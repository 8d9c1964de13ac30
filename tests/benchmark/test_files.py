"""Files appear whole or not at all."""

import pytest

from hand_bench import HandBenchError, files


def test_a_file_appears_only_when_its_block_succeeds(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with files.replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", [files.require_writable, lambda p: files.write_json(p, {})])
def test_a_place_under_a_file_cannot_be_written(tmp_path, call):
    (tmp_path / "file").write_text("")
    with pytest.raises(HandBenchError, match=r"HB402 .*file/r\.json: cannot be written: "):
        call(tmp_path / "file" / "r.json")


def test_a_folder_cannot_be_written_to_as_a_file(tmp_path):
    with pytest.raises(HandBenchError, match="cannot be written: it is a folder"):
        files.require_writable(tmp_path)


def test_the_home_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HAND_BENCH_HOME", str(tmp_path))
    assert files.home() == tmp_path
    monkeypatch.delenv("HAND_BENCH_HOME")
    assert files.home().name == "hand-bench"
