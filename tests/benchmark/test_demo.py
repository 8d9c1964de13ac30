"""The demo, as `make demo` runs it."""

from pathlib import Path

from hand_bench.cli import main


def test_the_demo_goes_through_and_leaves_what_it_names(tmp_path, home, capsys):
    main(["demo", "-o", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    assert "ranked by AUC(0-50) all" in out
    assert "HB120 metres.parquet: median hand length is 0.158 mm" in out
    assert "Likely: joints are in metres. With that put right" in out
    named = [Path(line.strip()) for line in out.split("Look at:")[1].splitlines() if line.strip()]
    assert {p.name for p in named} == {
        *("pck.png", "world.png", "sample.png", "report.html", "good.json", "index.html")
    }
    assert all(path.stat().st_size > 10_000 for path in named)
    assert err == ""
