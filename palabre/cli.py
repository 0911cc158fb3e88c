"""The `palabre` command: init, registration, serve, doctor, homeservers, recovery-key, consents, demo, version."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from palabre import __version__
from palabre.homeservers import app as homeservers_app
from palabre.settings import Settings, SettingsError, load

app = typer.Typer(
    name="palabre",
    help="Meetings for Matrix rooms: calls, recordings and transcripts that you run yourself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(homeservers_app)

DEFAULT_CONFIG = Path("palabre.yaml")
Config = Annotated[Path, typer.Option("--config", "-c", envvar="PALABRE_CONFIG", help="The settings file.")]
Dev = Annotated[bool, typer.Option("--dev", help="Try it out: accept weak secrets, allow the local sign-in.")]


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _settings(config: Path, *, dev: bool = False) -> Settings:
    try:
        return load(config, dev=dev)
    except SettingsError as error:
        _fail(str(error))


@app.command()
def init(
    server_name: Annotated[str, typer.Option(prompt="Server name of your homeserver (the part after : in user ids)")],
    homeserver_url: Annotated[str, typer.Option(prompt="URL at which Palabre reaches its client API")],
    public_url: Annotated[str, typer.Option(prompt="URL at which people will reach Palabre")],
    config: Config = DEFAULT_CONFIG,
    data_directory: Annotated[Path, typer.Option(help="Database and recordings.")] = Path("palabre-data"),
    advertise: Annotated[list[str] | None, typer.Option(help="Public IP address of this machine, repeatable.")] = None,
    language: Annotated[str, typer.Option(help="Language of the bot: fr, de or en.")] = "fr",
) -> None:
    """Write a working settings file with fresh secrets, and say what comes next."""
    from palabre.initialise import InitialFacts, homeserver_lines, write_settings

    facts = InitialFacts(server_name, homeserver_url, public_url, data_directory, tuple(advertise or ()), language)
    try:
        write_settings(config, facts)
    except FileExistsError:
        _fail(f"{config} exists already and holds secrets: move it away first, or choose another with --config.")
    except SettingsError as error:
        _fail(str(error))
    typer.echo(f"Wrote {config} (readable by you alone: it holds the secrets).\n\nNext:")
    typer.echo(f"  1. palabre registration --config {config} --output registration.yaml")
    typer.echo("     and name that file under app_service_config_files in the homeserver's configuration.")
    typer.echo("  2. For calls from Element, Element X and Tchap, add to homeserver.yaml (docs/matrix-calls.md):\n")
    typer.echo(textwrap.indent(homeserver_lines(public_url), " " * 7))
    typer.echo(f"  3. palabre serve --config {config}")
    typer.echo(f"  4. palabre doctor --config {config}")


@app.command()
def registration(
    config: Config = DEFAULT_CONFIG,
    output: Annotated[Path | None, typer.Option(help="Write to a file instead of the terminal.")] = None,
    dev: Dev = False,
) -> None:
    """Print the registration file that the homeserver needs."""
    from appservice.registration import registration_yaml
    from palabre.initialise import write_private
    from palabre.packages import appservice_settings

    try:
        text = registration_yaml(appservice_settings(_settings(config, dev=dev)))
    except SettingsError as error:
        _fail(str(error))
    if output is None:
        typer.echo(text, nl=False)
        return
    write_private(output, text, replace=True)
    typer.echo(
        f"Wrote {output}. Name it under app_service_config_files in the homeserver's configuration and restart it."
    )


@app.command()
def serve(config: Config = DEFAULT_CONFIG, dev: Dev = False) -> None:
    """Run the service until SIGTERM; a second SIGTERM ends calls at once."""
    settings = _settings(config, dev=dev)
    from palabre.listening import public_sockets

    try:
        sockets = public_sockets(settings.listen)
    except SettingsError as error:
        _fail(str(error))
    from appservice.errors import StartError
    from palabre.base.log import configure_logs
    from palabre.service import run

    configure_logs(settings.log.level, json=settings.log.format == "json")
    try:
        asyncio.run(run(settings, sockets, dev=dev))
    except (SettingsError, StartError) as error:
        _fail(str(error))


@app.command()
def doctor(
    server_name: Annotated[str, typer.Argument(help="With --focus: a homeserver, by default your own.")] = "",
    focus: Annotated[bool, typer.Option("--focus", help="Whether Matrix clients' own calls work on Palabre.")] = False,
    network: Annotated[bool, typer.Option("--network", help="Which ways into a call work from this machine.")] = False,
    language: Annotated[str, typer.Option(help="Of --focus and --network: fr, de or en; by default as set.")] = "",
    config: Config = DEFAULT_CONFIG,
    dev: Dev = False,
) -> None:
    """Check the deployment, and say in one sentence each what is wrong and what to do."""
    if focus:
        _doctor_focus(_settings(config, dev=dev), server_name, language)
        return
    if network:
        _doctor_network(_settings(config, dev=dev), language)
        return
    if server_name:
        _fail("A homeserver is looked at with --focus.")
    from palabre.base.clock import SystemClock
    from palabre.doctor import Doctor
    from palabre.packages import appservice_settings, speech_finding

    settings = _settings(config, dev=dev)
    try:
        doctor = Doctor(settings, appservice_settings(settings), SystemClock(), lambda: speech_finding(settings))
    except SettingsError as error:
        _fail(str(error))
    findings = asyncio.run(doctor.examine())
    _tell([(name, finding.ok, finding.sentence) for name, finding in findings.items()])


def _tell(findings: list[tuple[str, bool, str]]) -> None:
    """Print (name, whether it is well, sentence) each; ends with status 1 unless all is well."""
    width = max(len(name) for name, _, _ in findings)
    for name, ok, sentence in findings:
        mark = typer.style("ok  ", fg="green") if ok else typer.style("FIX ", fg="red", bold=True)
        typer.echo(f"{mark} {name:<{width}}  {sentence}")
    if not all(ok for _, ok, _ in findings):
        raise typer.Exit(1)


def _doctor_network(settings: Settings, language: str) -> None:
    from palabre.network_doctor import examine_network

    findings = asyncio.run(examine_network(settings, language or settings.language))
    _tell([(finding.name, finding.ok, finding.sentence) for finding in findings])


def _doctor_focus(settings: Settings, server_name: str, language: str) -> None:
    from palabre.focus_doctor import examine_focus

    try:
        findings = asyncio.run(examine_focus(settings, server_name, language or settings.language))
    except SettingsError as error:
        _fail(str(error))
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = typer.style("ok  ", fg="green") if finding.ok else typer.style("FIX ", fg="red", bold=True)
        typer.echo(f"{mark} {finding.name:<{width}}  {finding.sentence}")
        for line in finding.add.splitlines():
            typer.echo(f"     {'':<{width}}    {line}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command("recovery-key")
def recovery_key(config: Config = DEFAULT_CONFIG, dev: Dev = False) -> None:
    """Print the key that gives the bot its verified identity back when the database is lost. Keep it elsewhere."""
    from appservice.errors import StartError
    from palabre.packages import read_recovery_key

    try:
        key = asyncio.run(read_recovery_key(_settings(config, dev=dev)))
    except (SettingsError, StartError) as error:
        _fail(str(error))
    if key is None:
        _fail("There is none yet: it is made when the service first starts.")
    typer.echo(key)


consents = typer.Typer(help="What is stored of consents.", no_args_is_help=True)
app.add_typer(consents, name="consents")


@consents.command("export")
def export_consents(
    config: Config = DEFAULT_CONFIG,
    call: Annotated[str, typer.Option(help="One call, by the id in its event and its receipts.")] = "",
    room: Annotated[str, typer.Option(help="All calls of a Matrix room, by its id.")] = "",
    table: Annotated[bool, typer.Option("--csv", help="A table, one line per answer, instead of JSON.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write to a file that only you can read.")] = None,
    dev: Dev = False,
) -> None:
    """Who was asked to be recorded or transcribed, what they answered, when, and by what that is proven."""
    from palabre.consents import NothingFoundError, read_receipts, to_csv, to_json
    from palabre.initialise import write_private

    if bool(call) == bool(room):
        _fail("Name either a call (--call) or a room (--room).")
    try:
        receipts = asyncio.run(read_receipts(_settings(config, dev=dev), call=call, room=room))
    except NothingFoundError as nothing:
        _fail(str(nothing))
    text = to_csv(receipts) if table else to_json(receipts)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_private(output, text, replace=True)
        typer.echo(f"Wrote {len(receipts)} receipts to {output}.")


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the scripted meeting.")] = False,
    folder: Annotated[Path, typer.Option(help="Where homeserver, database and downloads go; emptied first.")] = Path(
        "demo-data"
    ),
) -> None:
    """Play one whole meeting with a real Synapse, then stay open for you to join."""
    from palabre.demo.run import play

    sys.exit(asyncio.run(play(folder, once=once)))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"palabre {__version__}")


def main() -> None:
    """Entry point of the console script."""
    app()


if __name__ == "__main__":
    main()
