"""`palabre homeservers`: what an operator does about other homeservers, beside the running service or without it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import typer

import appservice.schema
import bridge.schema
from appservice.federation.opening import open_federation
from appservice.federation.records import Level
from bridge import homeserver_words as words
from bridge.homeserver_admin import Entry, HomeserverAdmin, Row, read_list, read_pin
from palabre.base.clock import Clock, SystemClock
from palabre.base.database import open_database
from palabre.base.errors import CallerError
from palabre.base.words import say, say_error
from palabre.settings import Settings, SettingsError, load

app = typer.Typer(
    name="homeservers",
    help="Which homeservers' people may come into calls, and how those servers are.",
    no_args_is_help=True,
)

Config = Annotated[Path, typer.Option("--config", "-c", envvar="PALABRE_CONFIG", help="The settings file.")]
Dev = Annotated[bool, typer.Option("--dev", help="Accept weak secrets.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Name = Annotated[str, typer.Argument(help="The server name: what stands after : in its user ids.")]
DEFAULT_CONFIG = Path("palabre.yaml")
Result = TypeVar("Result")
Work = Callable[[HomeserverAdmin], Awaitable[Result]]


@asynccontextmanager
async def administering(settings: Settings, clock: Clock) -> AsyncIterator[HomeserverAdmin]:
    """Raises `SettingsError`."""
    from palabre.packages import homeserver_settings  # it loads what the service needs, and helping should not wait

    pool, (matrix_tables, bridge_tables) = await open_database(
        settings.database_url, [appservice.schema.upgrade_table, bridge.schema.upgrade_table]
    )
    try:
        federation = open_federation(homeserver_settings(settings), matrix_tables, clock)
        try:
            yield HomeserverAdmin(federation.homeservers, federation.watch, bridge_tables, clock)
        finally:
            await federation.http.close()
    finally:
        await pool.stop()


def _do(config: Path, dev: bool, work: Work[Result]) -> tuple[Settings, Result]:
    """Refusals are sentences in the deployment's language."""
    try:
        settings = load(config, dev=dev)
    except SettingsError as error:
        _fail(str(error))

    async def run() -> Result:
        async with administering(settings, SystemClock()) as admin:
            return await work(admin)

    try:
        return settings, asyncio.run(run())
    except SettingsError as error:
        _fail(str(error))
    except CallerError as refusal:
        _fail(say_error(settings.language, refusal))


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _show(settings: Settings, rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([row.document() for row in rows], ensure_ascii=False, indent=2))
    else:
        typer.echo(words.table(rows, settings.language))


@app.command("list")
def list_homeservers(config: Config = DEFAULT_CONFIG, as_json: AsJson = False, dev: Dev = False) -> None:
    """Show every known homeserver: its state, what its people may do, and what was last seen of it."""
    settings, rows = _do(config, dev, HomeserverAdmin.rows)
    _show(settings, rows, as_json=as_json)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="The server name; not with --from.")] = "",
    may: Annotated[
        Level | None, typer.Option(help="What its people may do; as the settings say when it is not given.")
    ] = None,
    own: Annotated[bool, typer.Option("--own", help="A homeserver of this organisation.")] = False,
    note: Annotated[str, typer.Option(help="For those who read the list.")] = "",
    address: Annotated[str, typer.Option(help="Its federation API, https://host:port: nothing is looked up.")] = "",
    fingerprint: Annotated[str, typer.Option(help="SHA-256 of its certificate.")] = "",
    authority: Annotated[
        Path | None, typer.Option(help="PEM file of the authority that signs its certificate.")
    ] = None,
    signing_key: Annotated[str, typer.Option(help="Its signing key, “ed25519:ID KEY”, which checks compare.")] = "",
    source: Annotated[Path | None, typer.Option("--from", help="A YAML list of homeservers.")] = None,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    dev: Dev = False,
) -> None:
    """Put a homeserver on the list, or a whole list of them; what the list says of a known one is replaced."""
    if bool(name) == (source is not None):
        _fail("Give either the name of a homeserver or a list with --from.")

    async def work(admin: HomeserverAdmin) -> list[Row]:
        if source is not None:
            return [await admin.add(entry) for entry in read_list(_read(source))]
        pem = "" if authority is None else _read(authority)
        return [await admin.add(Entry(name, may, own, note, read_pin(address, fingerprint, pem, signing_key)))]

    settings, rows = _do(config, dev, work)
    _show(settings, rows, as_json=as_json)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{path} can't be read ({type(error).__name__}).")


@app.command()
def allow(
    name: Name,
    may: Annotated[Level, typer.Option(help="open: open and join calls; join: only join them.")] = Level.JOIN,
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    dev: Dev = False,
) -> None:
    """Let its people come in."""
    if may is Level.REFUSE:
        _fail("To refuse a homeserver, write: palabre homeservers deny NAME")
    settings, row = _do(config, dev, lambda admin: admin.allow(name, may))
    _show(settings, [row], as_json=as_json)


@app.command()
def deny(
    name: Name,
    note: Annotated[str, typer.Option(help="Why, for those who read the list.")] = "",
    config: Config = DEFAULT_CONFIG,
    as_json: AsJson = False,
    dev: Dev = False,
) -> None:
    """Refuse its people: those who are in a call of the running service leave it within a second."""
    settings, row = _do(config, dev, lambda admin: admin.deny(name, note))
    _show(settings, [row], as_json=as_json)
    if not as_json:
        typer.echo(say(settings.language, f"homeservers.done.{row.level.value}", server=row.record.name))


@app.command()
def check(name: Name, config: Config = DEFAULT_CONFIG, as_json: AsJson = False, dev: Dev = False) -> None:
    """Look at a homeserver now; the exit status is 1 where something is wrong."""
    settings, seen = _do(config, dev, lambda admin: admin.check(name))
    if as_json:
        typer.echo(json.dumps(seen.facts(), ensure_ascii=False, indent=2))
    else:
        typer.echo(words.survey(name, seen, settings.language))
    if not seen.reached or seen.key_problem or seen.openid is False:
        raise typer.Exit(1)
