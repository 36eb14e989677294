"""The page of compatibility: results are put together, counted and explained, and a name without a reason is not passed over."""

from __future__ import annotations

import json
from datetime import date

import compatibility as page
from ladder import ROOT


def record(name, status="pass", passed=2, failed=0, missing=0):
    return {"name": name, "status": status, "passed": passed, "failed": failed, "missing_samples": missing, "graded": passed}


def written(path, kind, tier, records):
    path.write_text(json.dumps({"args": {"kind": kind, "tier": tier}, "torch": "9.9", "results": {"ops": records}}))
    return path


def test_shards_are_put_together_and_a_later_run_replaces_a_name(tmp_path):
    first = [record("add"), record("abs", "partial", 1, 1), record("none", "nosample", 0)]
    paths = [
        written(tmp_path / "a.json", "reference", "core", first),
        written(tmp_path / "b.json", "reference", "core", [record("abs"), record("gather", "fail", 0, 2)]),
        written(tmp_path / "c.json", "sample", "core", [record("add")]),
    ]
    sample, reference = page.gathered(paths)
    assert (sample.kind, reference.kind) == ("sample", "reference")
    day = reference.day
    assert page.figures(reference) == f"| reference | core | 2 of 3 (66.7%) | 4 of 6 (66.67%) | 4 | {day} |"
    assert page.failing(reference) == [("gather", "2 of 2", None)]


def test_missing_names_stand_with_their_group():
    lines = page.grouped(["special.airy_ai", "masked.sum", "special.bessel_y0", "unheard_of"])
    assert (
        lines[1].startswith("- **further Bessel and Airy functions** (2): `special.airy_ai`, `special.bessel_y0`: ")
        and lines[-1] == "- `unheard_of`"
    )


def test_the_section_is_replaced_and_the_others_stay():
    run = page.Run("sample", "all", {"a": record("a"), "b": record("b", "missing", 0, 0, 1)}, "9.9", date(2026, 1, 2))
    text = page.section([run])
    assert "| sample | all | 1 of 2 (50.0%) | 2 of 3 (66.67%) | 2 | 2026-01-02 |" in text and "- `b`" in text
    before = "# Title\n\n## PyTorch\n\nold\n\n## Array API\n\nkept\n"
    after = page.replaced(before, text)
    assert (
        after.startswith("# Title\n\n## PyTorch\n\nMeasured")
        and after.endswith("\n## Array API\n\nkept\n")
        and "old" not in after
    )
    assert page.replaced("# Title\n", text).startswith("# Title\n\n## PyTorch\n")


def test_every_failure_of_the_page_has_a_reason():
    text = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
    assert page.HEADING in text and "| ? |" not in text


def test_modules_and_optimizers_have_a_section_of_their_own(tmp_path):
    results = {
        "modules": [record("nn.Linear"), record("nn.CTCLoss", "fail", 0, 2)],
        "optims": [record("optim.New", "missing", 0, 0, 4)],
    }
    path = tmp_path / "surface.json"
    path.write_text(json.dumps({"args": {"kind": "sample", "tier": "core"}, "torch": "9.9", "results": results}))
    assert page.gathered([path]) == []
    modules, optims = page.suites([path])
    text = page.surface([modules, optims])
    assert f"| modules of `nn` | 1 of 2 (50.0%) | 2 of 4 (50.00%) | 2 | {modules.day} |" in text
    assert "| `nn.CTCLoss` | 2 of 2 | See `nn.functional.ctc_loss`" in text and "| `optim.New` | – | ? |" in text
    both = f"# Page\n\n{page.HEADING}\n\nops\n\n{page.SURFACE}\n\nold\n\n## Rest\n"
    assert page.replaced(both, text).startswith(
        f"# Page\n\n{page.HEADING}\n\nops\n\n{page.SURFACE}\n"
    ) and "old" not in page.replaced(both, text)
