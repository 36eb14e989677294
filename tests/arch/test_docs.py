"""What the documents say is so: commands, links, versions, and the two languages side by side."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from ladder import ROOT

import danlu

OUTSIDE = re.compile(r"(^|/)(\.|node_modules/|build/|dist/|runs/)")  # caches, environments and what programs wrote
DOCUMENTS = sorted(p for p in ROOT.rglob("*.md") if not OUTSIDE.search(p.relative_to(ROOT).as_posix()))
DECISIONS = ROOT / "docs" / "decisions"
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def text(name: str) -> str:
    """A file of the repository."""
    return (ROOT / name).read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The code blocks of one language in a document."""
    return [body for kind, body in FENCE.findall(text(name)) if kind == language]


def ci_commands() -> list[str]:
    """The commands that .ci/run runs, in order."""
    return [line.removeprefix("tests ") for line in re.findall(r"^run (.+)$", text(".ci/run"), re.MULTILINE)]


def readme_commands() -> list[str]:
    """The commands of the README's first block, one for each `&&`."""
    return [command.strip() for line in blocks("README.md", "console")[0].splitlines() for command in line.split("&&")]


def test_the_readme_gives_the_two_commands():
    assert readme_commands() == ["pip install -e .", "danlu train digits", "pip install -e '.[test]'", "pytest -n auto"]


def test_ci_runs_what_the_readme_says():
    plain = [command.replace(" --quiet", "") for command in ci_commands()]
    order = ["pip install -e .", "pip install -e '.[test]'", "ruff check", "ruff format --check", "pyright", "pytest -n auto"]
    order += ["pip install -e '.[oracle]'", "pytest -n auto -m oracle", "danlu train digits --epochs 3"]
    assert [command for command in plain if command in order] == order
    for command in readme_commands():
        assert command in plain or f"{command} --epochs 3" in plain, f"the README says {command!r}, and .ci/run does not run it"


def test_ci_stops_at_the_first_failure():
    script = ROOT / ".ci" / "run"
    assert "set -euo pipefail" in text(".ci/run")
    assert script.stat().st_mode & 0o100, "chmod +x .ci/run"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path):
    prose = FENCE.sub("", path.read_text("utf-8"))
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", t)]
    lost = [target for target in targets if target and not (path.parent / target).exists()]
    assert not lost, f"{path.relative_to(ROOT)} links to {', '.join(lost)}, which does not exist"


def test_the_changelog_knows_the_version():
    found = re.search(r'^version = "(.+)"$', text("pyproject.toml"), re.MULTILINE)
    assert found
    headings = [line for line in text("CHANGELOG.md").splitlines() if line.startswith("## ")]
    assert any(found[1] in line for line in headings), f"CHANGELOG.md has no section for version {found[1]}"


def test_both_readmes_have_the_same_shape():
    def outline(name: str) -> list[int]:
        return [line.index(" ") for line in FENCE.sub("", text(name)).splitlines() if line.startswith("#")]

    assert outline("README.md") == outline("README.zh.md")
    assert FENCE.findall(text("README.md")) == FENCE.findall(text("README.zh.md"))


def test_the_program_in_the_readme_learns(tmp_path):
    if not hasattr(danlu, "manual_seed"):
        pytest.skip("the API page does not offer what the program uses")
    program, script, first_lines = blocks("README.md", "python")
    (tmp_path / "train.py").write_text(script, "utf-8")
    ported = first_lines + script[script.index("\nx =") :]
    for command in (["-m", "danlu.cli", "run", "train.py"], ["-c", ported], ["-c", program]):
        command = [sys.executable, "-W", "error", *command]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        # the line begins near 7; ln 2 = 0.693 is the loss of guessing between two classes
        assert float(done.stdout.split()[-1]) < (0.3 if program in command else 2), done.stdout


def test_decisions_are_numbered_and_listed():
    pages = sorted(path.name for path in DECISIONS.glob("[0-9]*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    index = text("docs/decisions/README.md")
    assert [name for name in pages if f"({name})" not in index] == []
    for name in pages:
        page = text(f"docs/decisions/{name}")
        headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
        assert headings == ["Problem", "Choice", "Rejected", "How we will know"], f"{name} has the headings {headings}"
        assert page.startswith(f"# {name[:4]}: ")


def test_glossary_rows_are_whole_and_terms_appear_once():
    rows = [line.strip("| ").split(" | ") for line in text("docs/glossary.md").splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0] != "中文"]
    assert len(rows) >= 60
    assert [row for row in rows if len(row) != 3 or not row[2].endswith(".")] == []
    for column in (0, 1):
        terms = [row[column] for row in rows]
        assert sorted(set(terms)) == sorted(terms)


def test_pre_commit_needs_no_download():
    found = re.findall(r"^\s*- repo: (.+)$", text(".pre-commit-config.yaml"), re.MULTILINE)
    assert found == ["local"]
