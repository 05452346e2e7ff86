"""A short run of each fuzz target; a longer one is `build/fuzz/bin/fuzz_NAME -max_total_time=600`."""

import subprocess
from pathlib import Path

import pytest

from harness.program import ROOT

HERE = Path(__file__).parent
TARGETS = sorted(path.stem for path in HERE.glob("fuzz_*.c"))


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes_are_answered(target, tmp_path):
    program = ROOT / "build/fuzz/bin" / target
    assert program.exists(), "build it: ./dev build fuzz"
    seeds = HERE / "corpus" / target.removeprefix("fuzz_")
    words = [str(program), "-max_total_time=4", "-seed=1", "-print_final_stats=1", "-verbosity=0", "-rss_limit_mb=2048",
             "-timeout=10", str(tmp_path)] + ([str(seeds)] if seeds.exists() else [])
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=120, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
