"""docs/debugger.md prints what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARK = "-- next block --"


def test_the_page_prints_what_it_says(tmp_path):
    core = pytest.importorskip("fastnn.kernels.native.core")
    if core.path() == "v2":
        pytest.skip("without FMA the last digits are others")
    page = (ROOT / "docs" / "debugger.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(python|text)\n(.*?)```", page, re.S)
    code = [(text, follows[1] if follows[0] == "text" else "")
            for (kind, text), follows in zip(blocks, [*blocks[1:], ("", "")]) if kind == "python"]
    script = tmp_path / "page.py"  # a fresh interpreter: layers are numbered from the start
    script.write_text("".join(f"{text}\nprint({MARK!r})\n" for text, _ in code), encoding="utf-8")
    env = {k: v for k, v in os.environ.items() if k != "FASTNN_BACKEND"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, env=env, capture_output=True,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{MARK}\n")[:-1]
    assert len(printed) == len(code) == 7 and sum(bool(text) for _, text in code) == 6
    for (_, text), out in zip(code, printed):
        assert out == text
