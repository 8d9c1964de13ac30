"""YAML of strangers: plain values, and nothing that grows, is built or is followed."""

import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_bench.errors import SubmissionError
from hand_leaderboard.submissions.safe_yaml import MOST_BYTES, parse_yaml, read_yaml

BILLION_LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefg", "bcdefgh", strict=True)
)
REFUSED = {
    "aliases": (BILLION_LAUGHS, "anchor or alias"),
    "anchor alone": ("a: &x 1", "anchor or alias"),
    "python object": ("a: !!python/object/apply:os.system [ls]", "has a tag"),
    "local tag": ("a: !include /etc/passwd", "has a tag"),
    "plain tag": ("a: !!str 5", "has a tag"),
    "tag directive": ("%TAG ! tag:yaml.org,2002:\n---\na: !str 5", "has a tag"),
    "merge": ("a: 1\n<<: {b: 2}", "merges"),
    "two documents": ("a: 1\n---\nb: 1", "second document"),
    "repeated name": ("a: 1\na: 2", "second time"),
    "name that is a list": ("? [a, b]\n: 1", "not a text"),
    "name that is a number": ("1: a", "not a text"),
    "depth": ("[" * 60_000, "nested more than 8 deep"),
    "depth of mappings": ("".join("  " * k + "a:\n" for k in range(40)), "nested more than 8"),
    "size": ("a: " + "x" * MOST_BYTES, "more than 64 KiB"),
    "many values": ("[" + "a," * 3_000 + "]", "more than 2,000 values"),
    "no YAML": ("a: [1", "is not YAML"),
    "tab": ("a:\n\t- b", "is not YAML"),
    "escape": ("a: \x1b[31m", "is not YAML"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_plain_value_is_refused_at_once(name):
    text, said = REFUSED[name]
    begun = time.perf_counter()
    with pytest.raises(SubmissionError, match=f"HB140 it: .*{said}"):
        parse_yaml(text.encode(), "it")
    assert time.perf_counter() - begun < 20  # a bomb takes for ever


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(SubmissionError, match=r"not UTF-8 text"):
        parse_yaml(b"a: \xff\xfe", "it")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("2024-05-01", "2024-05-01"), ("12:30:00", "12:30:00"),
        ("0x1f", "0x1f"), ("1_000", "1_000"), ("12", 12), ("-3", -3), ("1.5", 1.5), ("1e3", "1e3"),
        ("1.0e3", 1000.0), ("true", True), ("null", None), ("~", None), ("'12'", "12"),
        (".inf", ".inf"), ("=", "="), ("9" * 40, "9" * 40),
    ],
)  # fmt: skip
def test_scalars_are_what_they_look_like(text, value):
    found = parse_yaml(f"a: {text}".encode(), "it")["a"]
    assert found == value and type(found) is type(value)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                               max_size=3),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(_VALUES)
def test_what_yaml_writes_in_quotes_is_read_back(value):
    text = yaml.safe_dump({"a": value}, default_style='"', allow_unicode=False)
    if "!!" not in text and _depth(value) < 7 and "<<" not in text:
        assert parse_yaml(text.encode(), "it") == {"a": value}


def _depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SubmissionError, match=r"HB402 .*nothing.yaml: cannot be read"):
        read_yaml(tmp_path / "nothing.yaml")


def test_only_the_beginning_of_a_huge_file_is_read(tmp_path):
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(10**12)  # a sparse file of a terabyte
    with pytest.raises(SubmissionError, match=r"more than 64 KiB"):
        read_yaml(path)
