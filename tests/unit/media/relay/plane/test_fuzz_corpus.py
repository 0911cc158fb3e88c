"""The fuzzer's corpus goes through the compiled packet path under the sanitizers, without clang or the fuzzer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[5]
SOURCES = ROOT / "media" / "relay" / "plane" / "c"
WITH_SOCKETS_OR_PYTHON = {"module.c", "convert.c", "core_state.c", "core_tracks.c", "driver.c", "sending.c", "wire.c"}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no compiler")
def test_what_the_fuzzer_found_worth_keeping_is_handled_without_a_fault_or_a_leak(tmp_path):
    program = tmp_path / "replay"
    sources = [path for path in sorted(SOURCES.glob("*.c")) if path.name not in WITH_SOCKETS_OR_PYTHON]
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-DREPLAY", "-g", "-O1", "-ffp-contract=off", "-fno-sanitize-recover=all"]
    sources.append(ROOT / "tests" / "fuzz" / "fuzz_plane.c")
    built = subprocess.run(
        ["cc", *flags, "-fsanitize=address,undefined", f"-I{SOURCES}", *sources, "-o", program],
        capture_output=True,
        text=True,
    )
    if built.returncode and "sanitize" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    corpus = sorted((ROOT / "tests" / "fuzz" / "corpus").iterdir())
    assert len(corpus) > 20
    replayed = subprocess.run([program, *corpus], capture_output=True, text=True)
    assert replayed.returncode == 0, replayed.stderr
