"""The benches run, and say what their readers look for."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.janus import why_not

BENCHES = Path(__file__).parents[3] / "bench"


async def last_line(name: str, *arguments: str) -> dict[str, Any]:
    command = (sys.executable, str(BENCHES / name), *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


@pytest.mark.parametrize("profile", ["gcm", "cm"])
async def test_a_row_of_the_relays_bench_is_one_command_and_ends_with_ratios(profile: str) -> None:
    row = ("--subscribers", "2", "--profiles", profile, "--paces", "900", "--rounds", "1")
    relays = ["thread", "python"] + ([] if why_not() else ["janus_el1", "janus_default"])
    result = await last_line("bench_relay.py", *row, "--relays", *relays)
    assert all(f"{name}_to_floor_n2_{profile}" in result for name in ("relay", "python"))
    assert all(one["us"] > 0 and one["delivered"] > 0 for one in result["measured"])
    if not why_not():
        assert result[f"relay_to_janus_el1_n2_{profile}"] > 0


async def test_a_whole_call_tells_how_many_people_a_core_carries() -> None:
    result = await last_line("bench_calls.py", "--sizes", "4", "--rounds", "1")
    call = result["calls"]["4"]
    assert call["people_per_core"] > 0
    assert call["delivered"] > 0
