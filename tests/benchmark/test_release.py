"""What a release needs agrees: version, citation, and the workflow that checks them."""

from pathlib import Path

import yaml

from hand_bench.version import __version__

ROOT = Path(__file__).resolve().parents[2]


def test_the_citation_names_the_version_and_nobody_who_is_not_there():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__
    assert citation["authors"] == [{"name": "hand-bench contributors"}]
    assert {"cff-version", "message", "title"} <= set(citation)


def test_a_tag_alone_releases_and_no_secret_is_stored():
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text("utf-8"))
    # YAML 1.1 reads the key "on" as true.
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    jobs = workflow["jobs"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert workflow["permissions"] == {"contents": "read"} and "secrets." not in str(workflow)
    steps = {step.get("name"): step.get("run", "") for step in jobs["build"]["steps"]}
    assert 'GITHUB_REF_NAME" != "v$version"' in steps["The tag is the version"]
