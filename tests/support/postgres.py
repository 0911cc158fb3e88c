"""A PostgreSQL of one's own for tests, where the machine has one installed (Debian: `apt install postgresql`).

* `postgres_url`: a fresh database, reached over a Unix socket; the test is skipped where there is no PostgreSQL.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

OWNER = "postgres"  # PostgreSQL refuses to run as root


def binaries() -> Path | None:
    """The folder of the newest installed version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    folder = binaries()
    if folder is None:
        pytest.skip("no PostgreSQL installed")
    root = os.geteuid() == 0
    as_owner = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--clear-groups"] if root else []
    home = Path(tempfile.mkdtemp(prefix="palabre-pg-", dir="/tmp"))  # short: socket paths end at 107 bytes
    if root:
        os.chown(home, pwd.getpwnam(OWNER).pw_uid, -1)

    def run(*command: str) -> None:
        subprocess.run([*as_owner, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    data = str(home / "data")
    run(str(folder / "initdb"), "-D", data, "-A", "trust", "-U", OWNER, "--no-sync", "-E", "UTF8", "--locale=C")
    options = f"-c listen_addresses='' -c fsync=off -k {home}"
    run(str(folder / "pg_ctl"), "-D", data, "-o", options, "-l", str(home / "log"), "-w", "start")
    try:
        yield f"postgres://{OWNER}@/postgres?host={home}"
    finally:
        run(str(folder / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(home, ignore_errors=True)
