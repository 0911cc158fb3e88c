"""The doctor beside a real Synapse: well when all is well, and precise when something is not."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import yaml

from palabre.demo.homeserver import free_port
from tests.support.deployment import Deployment


async def doctor(deployment: Deployment, **changes: object) -> tuple[int, str]:
    """Its exit status and what it said, with settings changed for it alone."""
    config = deployment.folder / "doctor.yaml"
    config.write_text(yaml.safe_dump(deployment.settings | changes))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "palabre.cli", "doctor", "--dev", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ),
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


def lines(said: str) -> dict[str, str]:
    """What it says of each thing that is to be mended, by its first word."""
    return {line.split()[1]: line for line in said.splitlines() if line.startswith("FIX")}


async def test_all_is_well_beside_the_running_service_and_without_it(deployment: Deployment) -> None:
    code, said = await doctor(deployment)
    assert (code, lines(said)) == (0, {}), said
    await deployment.start()
    code, said = await doctor(deployment)
    assert (code, lines(said)) == (0, {}), said
    assert "is Palabre's" in said


async def test_wrong_tokens_an_absent_homeserver_and_a_missing_model_are_each_named(
    deployment: Deployment, tmp_path: Path
) -> None:
    secrets = deployment.settings["secrets"]
    code, said = await doctor(deployment, secrets=secrets | {"as_token": "another"})
    assert code == 1
    assert "as_token" in lines(said)["tokens"]
    code, said = await doctor(deployment, secrets=secrets | {"hs_token": "another"})
    assert "hs_token" in lines(said)["tokens"]
    code, said = await doctor(deployment, homeserver_url=f"http://127.0.0.1:{free_port()}")
    assert {"homeserver", "clock", "tokens"} <= set(lines(said))
    code, said = await doctor(deployment, speech={"model": str(tmp_path / "nothing")})
    assert lines(said).keys() == {"speech"}
