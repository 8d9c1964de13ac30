"""What people write about a submission: `submission.yaml` as a frozen value.

`submission.schema.json` describes every field and is what is checked; unknown names are refused.
Texts stay texts: they may hold markup, which whoever shows them escapes, but no control
characters, nothing that turns the direction of writing, and no invisible characters.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from hand_bench import files, lineage
from hand_bench.errors import HandBenchError, Problem, SubmissionError, unknown_name
from hand_bench.tracks import Track
from hand_bench.zero_shot import training_lines
from hand_leaderboard.submissions.safe_yaml import read_yaml
from hand_leaderboard.submissions.texts import odd_character, url_fault

#: Predictions up to this size may lie beside the description.
BESIDE = 5_000_000
#: Where they lie then.
PREDICTIONS = "predictions.parquet"
#: Fields of more than one line.
_SEVERAL_LINES = ("description", "paper.bibtex")
_URL_FIELDS = ("code", "paper.url", "predictions.url")


@dataclass(frozen=True)
class Paper:
    """The paper that a method is described in."""

    title: str
    url: str = ""
    bibtex: str = ""


@dataclass(frozen=True)
class PredictionsFile:
    """Where the predictions are: at a URL (https), or beside the description; never both."""

    sha256: str
    size: int
    url: str = ""
    file: str = ""


@dataclass(frozen=True)
class Meta:
    """A `submission.yaml`.

    Parameters
    ----------
    method
        Title as printed.
    date
        ISO date of the submission.
    predictions
        Where they are, and which bytes they are.
    authors, team
        One of them is given.
    training
        Lines of the vocabulary of `hand_bench.lineage`; empty: nothing was trained on data.
    inputs
        What was used beyond the image, "name:value" of the track's inputs.
    parameters
        Number of parameters, of what is needed to predict.
    kind
        "method" (re-scored), or "baseline" (reproduced from the shipped `weights`).
    units
        "mm" where hands of an unlikely size are meant, so that their size is not checked.
    incomplete
        Whether samples may be left out: such a row is listed, not ranked.
    """

    method: str
    date: str
    predictions: PredictionsFile
    licence: str
    description: str
    authors: tuple[str, ...] = ()
    team: str = ""
    paper: Paper | None = None
    code: str = ""
    training: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    backbone: str = ""
    parameters: int | None = None
    hardware: str = ""
    external_data: tuple[str, ...] = ()
    kind: str = "method"
    weights: tuple[str, ...] = ()
    units: str = ""
    incomplete: bool = False

    @property
    def title(self) -> str:
        """The method's name as printed."""
        return self.method

    @property
    def people(self) -> str:
        """The authors in one line, or the team."""
        return ", ".join(self.authors) or self.team

    @property
    def input_values(self) -> dict[str, str]:
        """The declared inputs by name."""
        return dict(item.split(":", 1) for item in self.inputs)

    @classmethod
    def read(cls, path: str | Path) -> Meta:
        """Read and check a `submission.yaml`; a symbolic link is not followed.

        Raises
        ------
        SubmissionError
            With every problem (HB113, HB140, HB402).
        """
        path = Path(path)
        if path.is_symlink():
            raise SubmissionError(Problem("HB142", str(path), "is a symbolic link."))
        return cls.of(read_yaml(path), str(path))

    @classmethod
    def of(cls, stored: Any, where: str = "submission.yaml") -> Meta:
        """Check plain values, as YAML or a form gives them; `where` names them in problems."""
        problems = list(_problems(stored, where))
        if problems:
            raise SubmissionError(problems)
        known = {f.name for f in fields(cls)}
        given = {k: v for k, v in stored.items() if k in known and v is not None}
        for name in ("authors", "inputs", "external_data", "weights"):
            if name in given:
                given[name] = tuple(given[name])
        given["training"] = tuple(training_lines(given["training"], where))
        given["predictions"] = PredictionsFile(**given["predictions"])
        if "paper" in given:
            given["paper"] = Paper(**given["paper"])
        return cls(**given)

    def to_plain(self) -> dict[str, Any]:
        """Return plain values in the order of the schema, without what is empty."""
        plain = asdict(self)
        ordered = {name: plain[name] for name in schema()["properties"] if name in plain}
        always = ("training", "inputs")
        return {k: _plain(v) for k, v in ordered.items() if _given(v) or k in always}

    def write(self, path: str | Path) -> None:
        """Write the YAML, all or nothing."""
        with files.replacing(path) as temporary:
            temporary.write_text(self.to_yaml(), "utf-8")

    def to_yaml(self) -> str:
        """Return the YAML text; reading it gives the same value."""
        return to_yaml(self.to_plain())

    def check_for(self, track: Track, where: str) -> list[Problem]:
        """Say what does not fit a track: inputs that it does not know, or that are not declared."""
        problems = []
        names = [item.partition(":")[0] for item in self.inputs]
        known = [f"{n}:{v}" for n, values in track.inputs.items() for v in values]
        for item in self.inputs:
            if item not in known:
                problems.append(
                    Problem("HB113", where, f"declares the input {item!r}.",
                            fix=f"Known for {track.name}: {', '.join(known)}.")
                )  # fmt: skip
        for name in sorted({n for n in names if names.count(n) > 1}):
            problems.append(Problem("HB113", where, f"declares the input {name!r} twice."))
        lacking = [name for name in track.inputs if name not in names]
        if lacking:
            problems.append(
                Problem("HB113", where, f"does not say what was used for: {', '.join(lacking)}.",
                        cause="It decides in which group a method is ranked.",
                        fix="Add to `inputs:` one of each: "
                        + "; ".join(_choices(track, name) for name in lacking) + ".")
            )  # fmt: skip
        return problems


def _choices(track: Track, name: str) -> str:
    return " or ".join(f"{name}:{value}" for value in track.inputs[name])


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of `submission.yaml`."""
    path = resources.files("hand_leaderboard.submissions") / "submission.schema.json"
    return json.loads(path.read_text("utf-8"))


@cache
def _validator() -> Any:
    try:
        import jsonschema
    except ImportError as error:
        raise HandBenchError(
            Problem("HB401", "submission.yaml", "jsonschema is not installed.",
                    fix="pip install 'hand-bench[leaderboard]'")
        ) from error  # fmt: skip
    return jsonschema.Draft202012Validator(schema())


def _problems(stored: Any, where: str) -> Iterator[Problem]:
    """Say everything that is wrong with plain values."""
    if not isinstance(stored, Mapping):
        yield Problem("HB140", where, "is not a mapping of names to values.")
        return
    wrong = [_said(error, where) for error in _validator().iter_errors(stored)]
    yield from sorted(wrong, key=str)
    for place, text in _texts(stored):
        odd = odd_character(text, lines=place in _SEVERAL_LINES)
        if odd:
            yield Problem("HB140", where, f"{place} holds {odd}.", fix="Type it again, as text.")
    if wrong:
        return
    for place in _URL_FIELDS:
        url = _at(stored, place)
        why = url_fault(url, https=place == "predictions.url") if url else ""
        if why:
            yield Problem("HB143", where, f"{place} {url[:120]!r} {why}.")
    yield from _contradictions(stored, where)
    yield from _unknown_training(stored, where)


def _contradictions(stored: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """What a schema says badly: pairs of fields, and dates that no calendar has."""
    if bool(stored.get("authors")) == bool(stored.get("team")):
        both = "both authors and team" if stored.get("authors") else "neither authors nor team"
        yield Problem("HB140", where, f"names {both}.", fix="Give one of them.")
    predictions = stored["predictions"]
    if bool(predictions.get("url")) == bool(predictions.get("file")):
        yield Problem("HB140", where, "predictions needs a url or a file, and not both.")
    if predictions.get("file") and predictions["size"] > BESIDE:
        yield Problem(
            "HB140", where,
            f"predictions of {predictions['size']:,} bytes are too large to lie beside it "
            f"(at most {BESIDE:,}).",
            fix="Put them at a URL (https), e.g. in a Hub dataset or a release.",
        )  # fmt: skip
    try:
        datetime.date.fromisoformat(stored["date"])
    except ValueError:
        yield Problem("HB140", where, f"date: {stored['date']!r} is no day of the calendar.")
    if bool(stored.get("weights")) != (stored.get("kind") == "baseline"):
        yield Problem("HB140", where, "weights are named by baselines, and only by them.",
                      fix="`kind: baseline` is for weights that this project ships.")  # fmt: skip


def _unknown_training(stored: Mapping[str, Any], where: str) -> Iterator[Problem]:
    """Names of training data that the lineage does not know."""
    try:
        lineage.parse_all(training_lines(stored["training"], where))
    except SubmissionError as error:
        for problem in error.problems:
            yield Problem(problem.code, where, problem.what, problem.cause, problem.fix)


def _said(error: Any, where: str) -> Problem:
    """Put an error of the schema in words; what strangers wrote is quoted and cut."""
    place = ".".join(str(part) for part in error.absolute_path) or "the file"
    described = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
    cause = f"{place}: {described}" if described and error.absolute_path else ""
    found = repr(error.instance)[:80]
    if error.validator == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        strange = sorted(set(error.instance) - set(known)) or ["?"]
        near = unknown_name("field", strange[0][:60], known, "HB140")
        return Problem("HB140", where, f"{place}: {near.what}", near.cause, near.fix)
    if error.validator == "required":
        lacking = [name for name in error.validator_value if name not in error.instance]
        return Problem("HB140", where, f"{place} lacks {', '.join(lacking)}.",
                       fix="`hand-bench submit init` asks for everything.")  # fmt: skip
    what = _WORDS.get(error.validator, "is {found}, which does not fit")
    kind = _kind(error.validator_value)
    return Problem("HB140", where, f"{place} {what.format(found=found, limit=kind)}.", cause)


#: What a rule of the schema means, in words.
_WORDS = {
    "type": "is {found}, not {limit}",
    "maxLength": "has more than {limit} characters",
    "minLength": "is empty",
    "maxItems": "has more than {limit} entries",
    "minItems": "is an empty list",
    "uniqueItems": "holds an entry twice",
    "enum": "is {found}, not one of {limit}",
    "const": "is {found}, not {limit}",
    "pattern": "is {found}, which has another form",
    "minimum": "is {found}, less than {limit}",
    "maximum": "is {found}, more than {limit}",
}


def _kind(name: Any) -> str:
    kinds = {"string": "a text", "integer": "a whole number", "array": "a list",
             "object": "a mapping", "boolean": "true or false"}  # fmt: skip
    return kinds.get(name, str(name)) if isinstance(name, str) else str(name)


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of plain values with its place, names of fields included."""
    if isinstance(value, str):
        yield place or "the file", value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield "a name", key
            yield from _texts(inner, f"{place}.{key[:40]}" if place else key[:40])
    elif isinstance(value, list):
        for k, inner in enumerate(value):
            yield from _texts(inner, f"{place}.{k}")


def _at(stored: Mapping[str, Any], place: str) -> str:
    value: Any = stored
    for name in place.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def _given(value: Any) -> bool:
    return value not in (None, "", (), [], False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if _given(v)}
    return list(value) if isinstance(value, tuple) else value


def to_yaml(plain: Mapping[str, Any]) -> str:
    """Return plain values as YAML: in their order, texts of several lines as blocks."""
    import yaml

    return yaml.dump(dict(plain), Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=100)


def _dumper() -> Any:
    """Return a dumper that puts in quotes what another reader could take for something else."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Texts of several lines as blocks, no aliases."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    return Dumper
