"""Writes the sections "PyTorch" and "PyTorch's modules, optimizers and schedules" of docs/compatibility.md from the results of an oracle that
compares danlu with the installed PyTorch. A section of which no results are given stays as it is.

    python tools/compatibility.py RESULT.json ...            # several shards of one run, and later runs of single names, are put together
    python tools/compatibility.py --oracle SCRIPT            # runs SCRIPT first for every kind (it takes an hour) and reads what it writes

The oracle takes --module --suite --tier --kind --max-samples --json and writes, for each name of PyTorch's own operator database, how many
samples pass, fail or are missing. A name that fails has its reason in REASONS below; one without a reason is an error.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
HEADING, SURFACE = "## PyTorch", "## PyTorch's modules, optimizers and schedules"
SUITES = {"modules": "modules of `nn`", "optims": "optimizers", "sched": "schedules"}
RUNS = (
    ("sample", "core", 0),
    ("reference", "core", 0),
    ("error", "core", 0),
    ("sample", "all", 1),
)  # kind, tier, samples a dtype (0: all)

AT_NAN = "The derivative at an input that is NaN: PyTorch gives 0 or passes the gradient on, as each formula happens to do."
LAZY = "An index out of range is reported when a value is read, with the line of the call; the oracle does not read the value."
# (name or pattern, kind or "*", reason): the first that fits is printed.
REASONS = (
    ("nn.functional.ctc_loss", "*", "PyTorch's gradient presumes that `log_softmax` made the input; danlu's is the derivative of the value. "
     "Through `log_softmax` both are equal (tested). The values agree."),
    ("gather", "error", f"{LAZY} And `out=` of a wider dtype is taken."),
    ("scatter*", "error", LAZY),
    ("aminmax", "error", "`out=` of a wider dtype is taken."), ("multinomial", "error", "`out=` of a wider dtype is taken."),
    ("cat", "error", "`out=` may be one of the inputs: values never change, so the result is right."),
    ("kthvalue", "error", "`out=` may share memory with the input: values never change, so the result is right."),
    ("int", "reference", "NaN, infinities and numbers beyond the dtype made integers: undefined in C, and not the same on every processor."),
    ("long", "reference", "See `int`."), ("short", "reference", "See `int`."),
    ("sinc", "reference", "In float32 PyTorch's derivative cancels near 0; danlu's does not (tested against mpmath)."),
    ("sign", "reference", "The sign of NaN is NaN, as in NumPy and the array API standard; PyTorch gives 0."),
    ("clamp*", "reference", AT_NAN), ("abs", "reference", AT_NAN), ("nn.functional.*elu*", "reference", AT_NAN),
    ("nn.functional.hard*", "reference", AT_NAN), ("nn.functional.relu*", "reference", AT_NAN),
    ("nn.functional.softshrink", "reference", AT_NAN),
    ("nn.functional.margin_ranking_loss", "reference", AT_NAN),
    ("special.bessel_j*", "*", "PyTorch's values are off by 5e-8 in float64; danlu's agree with mpmath to 1e-13 (tested)."),
    ("nn.CTCLoss", "*", "See `nn.functional.ctc_loss` above: the values agree, the gradients through `log_softmax` too."),
    ("optim.LBFGS", "*", "Without a line search and with lr=1 the iteration diverges in these cases: parameters reach 10⁵, and PyTorch's own run "
     "with inputs tilted by one rounding error differs from itself as much. The converging cases agree to 10⁻⁸."),
    ("optim.Muon", "*", "Its iterations run on bfloat16: where a sum ends between two of its numbers, the order of additions decides which is taken "
     "(once in 20 steps in these cases; parameters then differ by 6 · 10⁻⁶)."),
    ("cov", "*", "float32 weights beside float64 data: another order of roundings in a difference that cancels."),
)  # fmt: skip

# Names of tier all that are missing: (group, patterns, reason).
GROUPS = (
    ("masked reductions", ("masked.*",), "PyTorch's prototype; write `x.where(mask, 0).sum()`"),
    ("orthogonal polynomials", ("special.*polynomial*",), "for specialists; NumPy has them: `numpy.polynomial`"),
    ("further Bessel and Airy functions", ("special.airy*", "special.*bessel*"), "`special.i0` and `i1` are there; SciPy has the others"),
    ("LAPACK's packed factors", ("linalg.ldl*", "geqrf", "ormqr"), "for specialists; `linalg.qr`, `lu` and `cholesky` give the factors"),
    ("histograms of several variables", ("histogramdd",), "`numpy.histogramdd`"),
)  # fmt: skip


class Run(NamedTuple):
    """All results of one kind and tier, name by name."""

    kind: str
    tier: str
    names: dict[str, dict[str, Any]]
    torch: str
    day: date


def gathered(paths: Iterable[Path]) -> list[Run]:
    """The results of several files; of a name that occurs twice the later file counts."""
    found: dict[tuple[str, str], Run] = {}
    for path in paths:
        data = json.loads(path.read_text("utf-8"))
        if "ops" not in data["results"]:
            continue
        key = (data["args"]["kind"], data["args"]["tier"])
        day = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).date()
        run = found.setdefault(key, Run(*key, {}, data["torch"], day))
        run.names.update({record["name"]: record for record in data["results"]["ops"]})
        found[key] = run._replace(day=max(day, run.day))
    order = [(kind, tier) for kind, tier, _ in RUNS]
    return sorted(found.values(), key=lambda run: order.index((run.kind, run.tier)))


def suites(paths: Iterable[Path]) -> list[Run]:
    """The results for modules, optimizers and schedules; of a name that occurs twice the later file counts."""
    found: dict[str, Run] = {}
    for path in paths:
        data = json.loads(path.read_text("utf-8"))
        day = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).date()
        for suite in data["results"].keys() & SUITES.keys():
            run = found.setdefault(suite, Run(SUITES[suite], "", {}, data["torch"], day))
            run.names.update({record["name"]: record for record in data["results"][suite]})
            found[suite] = run._replace(day=max(day, run.day))
    return [found[suite] for suite in SUITES if suite in found]


def surface(runs: Sequence[Run]) -> str:
    """The text of the section about them."""
    lines = [
        SURFACE, "",
        f"Measured with the sample inputs of PyTorch {runs[0].torch}'s own tests, float32 and float64: outputs and gradients of modules, 20 steps of",
        "optimizers (plain, in groups, and from a reloaded state), 30 steps of schedules. This section is written by `tools/compatibility.py`.", "",
        "| kind | names that pass whole | samples that pass | with gradients | measured |", "|---|---|---|---|---|",
        *(figures(run).replace(" |  |", " |") for run in runs), "", "| name | samples | what differs |", "|---|---|---|",
    ]  # fmt: skip
    for run in runs:
        lines += [f"| `{name}` | {share} | {text or '?'} |" for name, share, text in failing(run)]
        lines += [f"| `{name}` | – | {reason(name, 'missing') or '?'} |" for name in missing(run)]
    return "\n".join([*lines, ""])


def figures(run: Run) -> str:
    """One row of the table."""
    records = [r for r in run.names.values() if r["status"] != "nosample"]
    passing = sum(r["status"] == "pass" for r in records)
    count = {key: sum(r[key] for r in records) for key in ("passed", "failed", "missing_samples", "graded")}
    samples = count["passed"] + count["failed"] + count["missing_samples"]
    return (
        f"| {run.kind} | {run.tier} | {passing:,} of {len(records):,} ({passing / max(1, len(records)):.1%}) | "
        f"{count['passed']:,} of {samples:,} ({count['passed'] / max(1, samples):.2%}) | {count['graded']:,} | {run.day} |"
    )


def reason(name: str, kind: str) -> str | None:
    """Why a name fails."""
    return next((text for pattern, where, text in REASONS if fnmatchcase(name, pattern) and where in ("*", kind)), None)


def failing(run: Run) -> list[tuple[str, str, str | None]]:
    """(name, how many samples, reason) of what is there and does not pass whole."""
    bad = [r for r in run.names.values() if r["status"] not in ("pass", "nosample", "missing")]
    return [(r["name"], f"{r['failed']} of {r['failed'] + r['passed']}", reason(r["name"], run.kind)) for r in bad]


def missing(run: Run) -> list[str]:
    """The names that danlu lacks."""
    return sorted(r["name"] for r in run.names.values() if r["status"] == "missing")


def grouped(names: Sequence[str]) -> list[str]:
    """Missing names as lines, by group; what belongs to none stands last."""
    rest, lines = list(names), []
    for title, patterns, text in GROUPS:
        own = [n for n in rest if any(fnmatchcase(n, p) for p in patterns)]
        rest = [n for n in rest if n not in own]
        if own:
            lines.append(f"- **{title}** ({len(own)}): {', '.join(f'`{n}`' for n in own)}: {text}.")
    return lines + [f"- `{n}`" for n in rest]


def section(runs: Sequence[Run]) -> str:
    """The text of the section."""
    lines = [
        HEADING, "",
        f"Measured with PyTorch {runs[0].torch}'s own operator database on the CPU, float64, float32, int64 and bool: values, shapes,",
        "dtypes and gradients are compared with PyTorch's. *sample*: the inputs of its tests; *reference*: larger and stranger ones, with",
        "infinities and NaN; *error*: what it refuses must be refused. *core* is what a user of deep learning meets, *all* the whole",
        "database (one sample for each dtype).",
        "This section is written by `tools/compatibility.py`.", "",
        "| kind | tier | names that pass whole | samples that pass | with gradients | measured |", "|---|---|---|---|---|---|",
        *map(figures, runs), "",
    ]  # fmt: skip
    for run in runs:
        rows = failing(run) + [(name, "all", "missing") for name in missing(run) if run.tier == "core"]
        if rows:
            lines += [f"### What differs: {run.kind}, {run.tier}", "", "| name | samples | reason |", "|---|---|---|"]
            lines += [f"| `{name}` | {share} | {text or '?'} |" for name, share, text in rows] + [""]
    absent = [n for run in runs if run.tier == "all" for n in missing(run)]
    if absent:
        lines += ["### What is missing", "", *grouped(absent), ""]
    return "\n".join(lines)


def replaced(page: str, text: str) -> str:
    """The page with the section that begins as the text does replaced, or added at its end."""
    start = page.find(text.partition("\n")[0] + "\n")
    if start < 0:
        return page.rstrip("\n") + "\n\n" + text
    end = page.find("\n## ", start)
    return page[:start] + text + (page[end:] if end >= 0 else "")


def measured(oracle: Path, folder: Path) -> list[Path]:
    """Runs the oracle for every kind."""
    files = []
    for kind, tier, count in RUNS:
        files.append(folder / f"{kind}_{tier}.json")
        options = ["--suite", "ops", "--kind", kind, "--tier", tier, "--max-samples", str(count), "--json", str(files[-1])]
        subprocess.run([sys.executable, str(oracle), "--module", "danlu", *options], check=False)
    files.append(folder / "surface.json")
    options = ["--suite", ",".join(SUITES), "--timeout", "900", "--json", str(files[-1])]
    subprocess.run([sys.executable, str(oracle), "--module", "danlu", *options], check=False)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="*", type=Path, help="files that the oracle wrote with --json")
    parser.add_argument("--oracle", type=Path, help="the script of the oracle, to measure anew")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = measured(given.oracle, Path(folder)) if given.oracle else given.results
        runs, more = gathered(files), suites(files)
    if not runs and not more:
        parser.error("no results: give files, or --oracle SCRIPT")
    page = PAGE.read_text("utf-8") if PAGE.exists() else "# What danlu shares with other libraries\n"
    for text in ([section(runs)] if runs else []) + ([surface(more)] if more else []):
        page = replaced(page, text)
    PAGE.write_text(page, "utf-8")
    unknown = [f"{name} ({run.kind})" for run in [*runs, *more] for name, _, text in failing(run) if text is None]
    if unknown:
        print("no reason in REASONS for", ", ".join(unknown))
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
