"""The command line: which commands there are, and how they end."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import click

from cachannel.cli.options import CONTEXT_SETTINGS, nearest, print_version, warn
from cachannel.cli.terminal import interrupted, prepare
from cachannel.protocol.errors import CaprotoEnvironmentSetupError

__all__ = ["cli", "main"]

# A command is imported when it is used: `cachannel get` is run in loops of shell scripts.
_COMMANDS: Final = {
    "get": ("get", "command", "Read PVs."),
    "put": ("put", "command", "Write to a PV."),
    "monitor": ("monitor", "command", "Follow the changes of PVs."),
    "info": ("info", "command", "Show what PVs are."),
    "search": ("info", "search_command", "Show which server has PVs."),
    "doctor": ("doctor", "command", "Explain why PVs do or do not connect."),
    "shell": ("shell", "command", "Open IPython, or Python, with the clients loaded."),
    "ioc": ("programs", "ioc", "Run an IOC: an example, or any module."),
    "repeater": ("programs", "repeater", "Run a CA repeater."),
    "demo": ("programs", "demo", "Show Channel Access at work."),
    "completion": ("programs", "completion", "Print the completion script for a shell."),
}
_ALIASES: Final = {"caget": "get", "caput": "put", "camonitor": "monitor", "cainfo": "info"}


class _Commands(click.Group):
    """A group that imports a command when it is asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = _COMMANDS.get(_ALIASES.get(cmd_name, cmd_name))
        if found is None:
            return None
        module = importlib.import_module(f"cachannel.cli.{found[0]}")
        command: click.Command = getattr(module, found[1])
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, found[2]) for name, found in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = nearest(args[0], [*_COMMANDS, *_ALIASES])
            ctx.fail(f"There is no command {args[0]!r}. {near}".rstrip())
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings=CONTEXT_SETTINGS)
@click.option("-V", "--version", is_flag=True, is_eager=True, expose_value=False,
              callback=print_version, help="Print the version and exit.")  # fmt: skip
def cli() -> None:
    """Read, write and follow EPICS process variables (PVs).

    get, put, monitor and info take the options of EPICS base's caget, caput, camonitor and
    cainfo, and print the same text when standard output is not a terminal. Servers are found
    with the usual EPICS_CA_* variables. The exit status is 0, 1 when Channel Access failed, and
    2 for wrong arguments; values go to standard output, faults to standard error.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Returns:
        0; 1 when Channel Access failed; 2 for wrong arguments. An interrupt ends the process.
    """
    prepare()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if "_CACHANNEL_COMPLETE" in os.environ:
            cli.main(arguments, prog_name="cachannel")
        # Not cli.main(): it would turn a closed pipe into status 1 by itself.
        with cli.make_context("cachannel", list(arguments)) as context:
            status = cli.invoke(context)
        sys.stdout.flush()
        return int(status or 0)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        return interrupted()
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except BrokenPipeError:
        # The reader has seen enough; what is still buffered must not complain at exit. The
        # status is the one of programs that the signal ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13
    except (OSError, CaprotoEnvironmentSetupError) as exc:
        warn(f"cachannel: {exc}")
        return 1
