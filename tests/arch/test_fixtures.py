"""What tests/conftest.py offers does what it says."""

from __future__ import annotations

import os

import numpy as np
import pytest
from ladder import ROOT

from danlu.config import config


def test_settings_of_the_tests_are_in_force():
    assert config.verify is True
    assert str(config.cache_dir) == os.environ["DANLU_CACHE_DIR"]
    assert config.cache_dir.name.startswith("danlu-tests-")


@pytest.mark.parametrize("again", [1, 2])
def test_every_test_begins_with_the_same_numbers(again):
    # the first number of the generator MT19937 seeded with 0
    assert np.random.rand() == 0.5488135039273248


def test_golden_compares_and_writes_only_when_told(golden, request, tmp_path, monkeypatch):
    conftest = request.config.pluginmanager.get_plugin(str(ROOT / "tests" / "conftest.py"))
    monkeypatch.setattr(conftest, "GOLDEN", tmp_path)
    monkeypatch.setattr(request.config.option, "update_golden", False)
    with pytest.raises(pytest.fail.Exception, match="does not exist; if this is meant: pytest --update-golden tests/arch"):
        golden("kernel", "loop i\n")
    assert list(tmp_path.iterdir()) == []

    monkeypatch.setattr(request.config.option, "update_golden", True)
    golden("kernel", "loop i\n")
    assert (tmp_path / "kernel.txt").read_text("utf-8") == "loop i\n"

    monkeypatch.setattr(request.config.option, "update_golden", False)
    golden("kernel", "loop i")
    with pytest.raises(pytest.fail.Exception, match=r"(?s)-loop i\n\+loop j"):
        golden("kernel", "loop j\n")
    assert (tmp_path / "kernel.txt").read_text("utf-8") == "loop i\n"
