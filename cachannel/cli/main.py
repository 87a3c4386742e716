"""The commands and their options."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from cachannel import __version__
from cachannel.cli.formats import Style

__all__ = ["cli", "main"]

F = TypeVar("F", bound=Callable[..., Any])
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 96}


class Failure(click.exceptions.Exit):
    """Channel Access failed; status 1."""

    def __init__(self) -> None:
        super().__init__(1)


def common(function: F) -> F:
    """Add the options that all commands for PVs have."""
    for option in reversed(
        (
            click.option("-w", "--timeout", "wait", type=float, metavar="SEC",
                         help="Wait so long for PVs and answers (EPICS_CLI_TIMEOUT or 1.0)."),
            click.option("-p", "--priority", type=click.IntRange(0, 99), default=0,
                         help="Priority of the circuit."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line."),
            click.version_option(__version__, "-V", "--version", prog_name="cachannel"),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def formats(function: F) -> F:
    """Add the options for the look of values."""
    for option in reversed(
        (
            click.option("-n", "numbers", is_flag=True, help="Enumerations as numbers."),
            click.option("-s", "as_strings", is_flag=True,
                         help="Floating point numbers as text from the server."),
            click.option("-S", "as_text", is_flag=True, help="Arrays of CHAR as text."),
            click.option("-#", "count", type=int, metavar="N", help="At most N elements."),
            click.option("-e", "exponent", type=int, metavar="N", help="%e with N digits."),
            click.option("-f", "fixed", type=int, metavar="N", help="%f with N digits."),
            click.option("-g", "general", type=int, metavar="N", help="%g with N digits."),
            click.option("-0", "integer", type=click.Choice(["x", "o", "b"]),
                         help="Integers as hex, octal or binary numbers."),
            click.option("-F", "separator", metavar="C", help="Character between fields."),
        )
    ):  # fmt: skip
        function = option(function)
    return function


def style_of(options: dict[str, Any]) -> Style:
    """Make the style that options ask for."""
    style = Style()
    for key, letter in (("exponent", "e"), ("fixed", "f"), ("general", "g")):
        digits = options.get(key)
        if digits is not None:
            style.floating = f".{digits}{letter}"
    integer = options.get("integer")
    if integer:
        style.integer = {"x": "X"}.get(integer, integer)
    rounded = options.get("rounded")
    if rounded:
        style.rounded = {"x": "X"}.get(rounded, rounded)
    if options.get("separator"):
        style.separator = options["separator"]
    style.as_text = bool(options.get("as_text"))
    return style


def chooser(options: dict[str, Any], variant: int) -> Callable[[int], int]:
    """Make the function that finds the type to ask for, from the native one."""
    strings, numbers = options["as_strings"], options["numbers"]

    def choose(native: int) -> int:
        base = native
        if (native == 3 and not numbers) or (strings and native in (2, 6)):
            base = 0
        return base + variant

    return choose


@click.group(context_settings=CONTEXT_SETTINGS)
@click.version_option(__version__, "-V", "--version", prog_name="cachannel")
def cli() -> None:
    """Read, write and follow EPICS process variables."""


@cli.command(context_settings=CONTEXT_SETTINGS)
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@click.option("-t", "--terse", is_flag=True, help="The value only, without the name.")
@click.option("-a", "--wide", is_flag=True, help="With time stamp and alarm.")
@click.option("-d", "type_name", metavar="TYPE", help="Ask for this type and print all it brings.")
@click.option("-c", "--notify", "current", is_flag=True, help="The current length of arrays.")
@click.option(
    "-l",
    "rounded",
    type=click.Choice(["x", "o", "b"]),
    help="Floating point numbers rounded, as hex, octal or binary numbers.",
)
@formats
@common
def get(names: tuple[str, ...], **options: Any) -> None:
    """Read PVs and print their values, as caget does."""
    from cachannel.cli.get import run

    finish(run(names, options, style_of(options)))


@cli.command(context_settings=CONTEXT_SETTINGS)
@click.argument("name", metavar="PV")
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@click.option("-c", "--notify", "completion", is_flag=True, help="Wait for completion.")
@click.option("-t", "--terse", is_flag=True, help="Print the new value only.")
@click.option("-l", "wide", is_flag=True, help="Print time stamps and alarms.")
@click.option("-a", "array", is_flag=True, help="An array: number of elements, then the values.")
@formats
@common
def put(name: str, values: tuple[str, ...], **options: Any) -> None:
    """Write to a PV and print its old and new value, as caput does."""
    from cachannel.cli.put import run

    finish(run(name, values, options, style_of(options)))


@cli.command(context_settings=CONTEXT_SETTINGS)
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@click.option(
    "-t",
    "stamps",
    default="s",
    metavar="KEY",
    help="Time stamps: server (s), client (c), none (n), relative (r), incremental (i, I).",
)
@click.option(
    "-m",
    "mask",
    default="va",
    metavar="MASK",
    help="What is an update: value (v), alarm (a), log (l), property (p).",
)
@click.option(
    "-l",
    "rounded",
    type=click.Choice(["x", "o", "b"]),
    help="Floating point numbers rounded, as hex, octal or binary numbers.",
)
@click.option("--duration", type=float, metavar="SEC", help="End after this time.")
@click.option("--maximum", type=int, metavar="N", help="End after N updates.")
@click.option("--table", is_flag=True, help="A table that changes in place.")
@click.option(
    "--save", type=click.Path(dir_okay=False), help="Append updates to a .csv or .jsonl file."
)
@formats
@common
def monitor(names: tuple[str, ...], **options: Any) -> None:
    """Follow PVs and print a line for each update, as camonitor does."""
    from cachannel.cli.monitor import run

    finish(run(names, options, style_of(options)))


@cli.command(context_settings=CONTEXT_SETTINGS)
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@common
def info(names: tuple[str, ...], **options: Any) -> None:
    """Show where PVs are and what they are, as cainfo does."""
    from cachannel.cli.info import run

    finish(run(names, options))


@cli.command(context_settings=CONTEXT_SETTINGS)
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@common
def search(names: tuple[str, ...], **options: Any) -> None:
    """Show which server has each PV."""
    from cachannel.cli.info import run_search

    finish(run_search(names, options))


@cli.command(context_settings=CONTEXT_SETTINGS)
@click.argument("names", nargs=-1, required=True, metavar="PV...")
@common
def doctor(names: tuple[str, ...], **options: Any) -> None:
    """Explain why PVs do or do not connect."""
    from cachannel.cli.doctor import run

    finish(run(names, options))


@cli.command(
    context_settings=CONTEXT_SETTINGS | {"ignore_unknown_options": True}, add_help_option=False
)
@click.argument("module")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ioc(module: str, arguments: tuple[str, ...]) -> None:
    """Run an IOC: an example of cachannel.ioc_examples, or any module."""
    import importlib.util
    import runpy

    known = f"cachannel.ioc_examples.{module}"
    if "." not in module and importlib.util.find_spec(known) is not None:
        module = known
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ImportError as exc:
        raise click.UsageError(f"there is no IOC {module!r}: {exc}") from exc


@cli.command(context_settings=CONTEXT_SETTINGS)
def repeater() -> None:
    """Run a CA repeater in the foreground."""
    from cachannel import repeater as module

    finish(module.main([]))


@cli.command(context_settings=CONTEXT_SETTINGS)
def demo() -> None:
    """Show Channel Access at work, against an IOC of its own."""
    from cachannel import demo as module

    finish(module.main())


@cli.command(context_settings=CONTEXT_SETTINGS)
def shell() -> None:
    """Open IPython, or Python, with the clients loaded."""
    from cachannel.cli.shell import run

    finish(run())


def finish(status: int) -> None:
    """Leave with a status."""
    if status:
        raise click.exceptions.Exit(status)


def print_json(found: Any) -> None:
    """Print one JSON object."""
    sys.stdout.write(json.dumps(found) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 1 when Channel Access failed; 2 for wrong arguments.
    """
    try:
        status = cli.main(arguments, prog_name="cachannel", standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except BrokenPipeError:
        # The reader has seen enough; what is still buffered must not complain at exit.
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
