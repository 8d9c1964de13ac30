"""submission.yaml: its schema, what it refuses, and that texts stay texts."""

from dataclasses import fields

import pytest

from hand_bench.errors import SubmissionError
from hand_bench.tracks import find_track
from hand_bench.zero_shot import read_submission
from hand_leaderboard.submissions.meta import Meta, schema
from hand_leaderboard.submissions.names import LONGEST, RESERVED, is_name, name_of, require_name
from hand_leaderboard.submissions.safe_yaml import parse_yaml
from hand_leaderboard.submissions.texts import url_fault
from leaderboard.submitted import plain

TRACK = "assemblyhands"
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)> {{7*7}} [a](javascript:1)"
FULL = plain(
    TRACK, team=None, authors=["A. One", "Ö. Zwei"], code="https://example.org/code",
    paper={"title": "On hands", "url": "http://example.org/p",
           "bibtex": "@article{a,\n title={x}}"},
    training=["arctic/train", {"visor/train": "masks, grasp"}, {"ego4d": ["masks"]}],
    backbone="ResNet-50", parameters=25_000_000, hardware="1 GPU, 3 days",
    external_data=["own recordings"], kind="method", incomplete=True,
    description="One line.\n\n  Another: with # signs, 'quotes' and a colon.",
)  # fmt: skip


def test_what_is_written_is_read_again(tmp_path):
    meta = Meta.of(FULL)
    meta.write(tmp_path / "submission.yaml")
    assert Meta.read(tmp_path / "submission.yaml") == meta
    lines = ("arctic/train", "visor/train: masks, grasp", "ego4d: masks")
    assert meta.training == lines == tuple(read_submission(tmp_path / "submission.yaml"))
    assert meta.people == "A. One, Ö. Zwei" and meta.title == "Method A"


def test_the_schema_describes_every_field_of_the_value():
    properties = schema()["properties"]
    assert set(properties) == {f.name for f in fields(Meta)}
    assert schema()["additionalProperties"] is False

    def walk(part: dict, name: str):
        assert part.get("description"), name
        for key, inner in part.get("properties", {}).items():
            walk(inner, f"{name}.{key}")
        if part.get("type") == "array":
            walk(part["items"], f"{name}[]")
        if part.get("type") == "string":
            assert part.get("maxLength", 0) or part.get("pattern", "").endswith("$"), name

    for key, part in properties.items():
        walk(part, key)


def test_every_problem_of_a_file_is_said_at_once():
    wrong = plain(TRACK, methods="x", date="2024-02-30", licence=5, description=None)
    with pytest.raises(SubmissionError) as caught:
        Meta.of(wrong, "s.yaml")
    said = str(caught.value)
    assert "no field 'methods'" in said and "Did you mean 'method'?" in said
    assert "licence is 5, not a text" in said and "lacks description" in said


REFUSED = {
    "neither authors nor team": ({"team": None}, "neither authors nor team"),
    "both": ({"authors": ["A"]}, "both authors and team"),
    "a day that is none": ({"date": "2024-02-30"}, "no day of the calendar"),
    "a date with a line": ({"date": "2024-02-03\n"}, "U[+]000A"),
    "a long text": ({"method": "x" * 81}, "more than 80 characters"),
    "a long description": ({"description": "x" * 4_001}, "more than 4000 characters"),
    "an empty method": ({"method": ""}, "method is empty"),
    "a line break in a name": ({"method": "a\nb"}, "U[+]000A"),
    "a control character": ({"description": "a\x1b[31mb"}, "U[+]001B"),
    "a null character": ({"team": "a\x00"}, "U[+]0000"),
    "turned writing": ({"team": "a\u202eb"}, "U[+]202E"),
    "an invisible space": ({"method": "a\u200bb"}, "U[+]200B"),
    "a hidden tag character": ({"method": "a\U000e0041"}, "U[+]E0041"),
    "a private character": ({"method": "a\ue000"}, "U[+]E000"),
    "javascript": ({"code": "javascript:alert(1)"}, "HB143 .*does not begin with http"),
    "data": ({"code": "data:text/html,x"}, "HB143"),
    "a file": ({"code": "file:///etc/passwd"}, "HB143"),
    "no host": ({"code": "https:///x"}, "HB143 .*has no host"),
    "a password": ({"code": "https://a:b@example.org/"}, "HB143 .*user name"),
    "a quotation mark": ({"code": 'https://example.org/"onclick=x'}, "HB143 .*quotation mark"),
    "a backslash": ({"code": "https://example.org\\@evil.org"}, "HB143"),
    "an unknown dataset": ({"training": ["nonsense"]}, "no training dataset 'nonsense'"),
    "a number of training": ({"training": [5]}, "training.0 is 5"),
    "weights of a method": ({"weights": ["x"]}, "weights are named by baselines"),
    "a baseline without": ({"kind": "baseline"}, "weights are named by baselines"),
    "another kind": ({"kind": "oracle"}, "kind is 'oracle', not one of"),
    "an input in words": ({"inputs": ["boxes are mine"]}, "has another form"),
    "negative parameters": ({"parameters": -1}, "less than 0"),
    "parameters in words": ({"parameters": "25M"}, "not a whole number"),
    "true parameters": ({"parameters": True}, "not a whole number"),
    "predictions that are a text": ({"predictions": "p.parquet"}, "not a mapping"),
}  # fmt: skip
BYTES = {"sha256": "a" * 64, "size": 9}
PREDICTIONS = {
    "nowhere": (BYTES, "a url or a file"),
    "in two places": (
        BYTES | {"url": "https://a.org/", "file": "predictions.parquet"}, "and not both"
    ),
    "another name": (BYTES | {"file": "../../etc/passwd"}, "not predictions.parquet"),
    "http": (BYTES | {"url": "http://example.org/p"}, "HB143 .*does not begin with https"),
    "a file's URL": (BYTES | {"url": "file:///etc/passwd"}, "HB143"),
    "letters of a host": (BYTES | {"url": "https://exämple.org/p"}, "not ASCII"),
    "no hash": ({"size": 9, "url": "https://a.org/"}, "lacks sha256"),
    "a short hash": (BYTES | {"sha256": "ab", "url": "https://a.org/"}, "another form"),
    "a hash with a line": (
        BYTES | {"sha256": "a" * 64 + "\n", "url": "https://a.org/"}, "U[+]000A"
    ),
    "no size": (BYTES | {"size": 0, "url": "https://a.org/"}, "less than 1"),
    "a huge size": (BYTES | {"size": 10**15, "url": "https://a.org/"}, "more than"),
    "a large file beside it": (
        BYTES | {"size": 6_000_000, "file": "predictions.parquet"}, "too large"
    ),
}  # fmt: skip
REFUSED |= {name: ({"predictions": p}, said) for name, (p, said) in PREDICTIONS.items()}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_its_place(name):
    changed, said = REFUSED[name]
    with pytest.raises(SubmissionError, match=said) as caught:
        Meta.of(plain(TRACK, **changed), "s.yaml")
    assert all(p.where == "s.yaml" for p in caught.value.problems)
    assert "\x1b" not in str(caught.value) and "\x00" not in str(caught.value)


@pytest.mark.parametrize("stored", [None, [], "text", 5, {"a": {"b": {}}}])
def test_other_values_are_refused(stored):
    with pytest.raises(SubmissionError, match=r"HB140"):
        Meta.of(stored, "s.yaml")


@pytest.mark.parametrize(
    "field", ["method", "team", "licence", "description", "backbone", "hardware"]
)
def test_markup_in_a_text_is_kept_as_text(field, tmp_path):
    text = HTML[:80]
    meta = Meta.of(plain(TRACK, **{field: text}))
    meta.write(tmp_path / "s.yaml")
    assert getattr(Meta.read(tmp_path / "s.yaml"), field) == text


def test_yaml_that_looks_like_something_else_stays_a_text(tmp_path):
    for text in ("no", "2024-01-01", "12", "null", "~", "&a", "*a", "!!x y", "- a", "a: b", "# c"):
        written = Meta.of(plain(TRACK, method=text)).to_yaml()
        assert Meta.of(parse_yaml(written.encode(), "s")).method == text


def test_inputs_are_compared_with_the_track():
    track = find_track(TRACK)
    meta = Meta.of(plain(TRACK, inputs=["boxes:standard", "boxes:own", "tea:hot"]))
    said = "\n".join(map(str, meta.check_for(track, "s.yaml")))
    assert "declares the input 'tea:hot'" in said and "'boxes' twice" in said
    assert "does not say what was used for: root_depth, K" in said and "K:gt or K:own" in said
    assert Meta.of(plain(TRACK)).check_for(track, "s.yaml") == []


@pytest.mark.parametrize("url", ["https://example.org/a?b=c#d", "http://[2001:db8::1]/x"])
def test_ordinary_addresses_are_links(url):
    assert url_fault(url) == ""


@pytest.mark.parametrize(
    "name",
    ["", "..", ".", "a/b", "a\\b", "../x", "A", "a b", "a.b", "a--b", "-a", "a-", "con", "com1",
     "history", "é", "a\n", "a\x00", "%2e%2e", "x" * (LONGEST + 1), "~", "a:b", "a_b"],
)  # fmt: skip
def test_names_that_could_lead_elsewhere_are_refused(name):
    assert not is_name(name)
    with pytest.raises(SubmissionError, match=r"HB141"):
        require_name(name)


def test_a_title_gives_a_name_that_is_safe():
    assert name_of("HaMeR (ViT-H, 2024)") == "hamer-vit-h-2024"
    assert name_of("Ünïcode/../../x") == "unicode-x"
    for title in ("con", "x" * 200, "../../etc/passwd", "<script>", *RESERVED):
        assert is_name(name_of(title)), title
    with pytest.raises(SubmissionError, match=r"HB141"):
        require_name(name_of("手の姿勢"))
