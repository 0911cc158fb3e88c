"""What the operator is told when the bot cannot start, by `palabre serve` itself."""

from __future__ import annotations

import asyncio

from tests.support.deployment import Deployment


async def ended(deployment: Deployment) -> str:
    """The log of a `palabre serve` that ends by itself."""
    await deployment.start(wait=False)
    assert deployment.process is not None
    async with asyncio.timeout(60):
        assert await deployment.process.wait() == 1
    return deployment.log_tail()


async def test_a_registration_that_does_not_fit_is_said_in_one_sentence(deployment: Deployment):
    deployment.settings["secrets"]["as_token"] = "not-the-token-of-the-registration-0123456789"
    log = await ended(deployment)
    assert "does not know the as_token: write the registration anew" in log
    assert "Traceback" not in log


async def test_a_service_that_waits_for_its_homeserver_can_be_told_to_end(deployment: Deployment):
    deployment.settings["homeserver_url"] = "http://127.0.0.1:9"
    await deployment.start(wait=False)
    async with asyncio.timeout(60):
        while "does not answer" not in deployment.log_tail():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    process = deployment.process
    assert process is not None
    process.terminate()
    async with asyncio.timeout(60):
        assert await process.wait() == 0
