"""The commands that run a program: ``ioc``, ``repeater``, ``demo``, ``completion``."""

from __future__ import annotations

import sys

import click

from cachannel.cli.options import CONTEXT_SETTINGS, nearest

__all__ = ["completion", "demo", "ioc", "repeater"]


@click.command(
    "ioc",
    context_settings=CONTEXT_SETTINGS
    | {"ignore_unknown_options": True, "allow_interspersed_args": False},
    short_help="Run an IOC.",
)
@click.option("--list", "listed", is_flag=True, help="Print the names of the examples.")
@click.argument("module", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def ioc(listed: bool, module: str | None, arguments: tuple[str, ...]) -> int:
    """Run an IOC: an example of cachannel.ioc_examples, or any module by its dotted name.

    What follows the module goes to it: try 'cachannel ioc MODULE --help'.
    """
    import importlib.util
    import pkgutil
    import runpy

    from cachannel import ioc_examples

    names = sorted(found.name for found in pkgutil.iter_modules(ioc_examples.__path__))
    known = {
        name: f"cachannel.ioc_examples.{name}" for name in names if not name.startswith("_")
    } | {"demo": "cachannel.demo_ioc"}
    if listed:
        click.echo("\n".join(sorted(known)))
        return 0
    if module is None:
        raise click.UsageError("Missing argument 'MODULE'; --list prints the examples.")
    module = known.get(module, module)
    sys.path.insert(0, "")
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise click.UsageError(
            f"There is no module {module!r}; 'cachannel ioc --list' prints the examples. "
            f"{nearest(module, list(known))}".rstrip()
        )
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    return 0


@click.command("repeater", context_settings=CONTEXT_SETTINGS, short_help="Run a CA repeater.")
def repeater() -> int:
    """Run a CA repeater in the foreground; it ends at once when one runs already."""
    import logging

    from cachannel import repeater as module
    from cachannel.logs import config_caproto_logging

    logging.getLogger("cachannel.repeater").setLevel("INFO")
    config_caproto_logging(level="INFO")
    return module.main([])


@click.command("demo", context_settings=CONTEXT_SETTINGS, short_help="Show Channel Access at work.")
def demo() -> int:
    """Show Channel Access at work, against an IOC of its own."""
    from cachannel import demo as module

    return module.main()


@click.command(
    "completion", context_settings=CONTEXT_SETTINGS, short_help="Print a completion script."
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print the script that completes commands and options in a shell.

    Put this into ~/.bashrc:  eval "$(cachannel completion bash)"
    """
    from click.shell_completion import get_completion_class

    from cachannel.cli.main import cli

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(cli, {}, "cachannel", "_CACHANNEL_COMPLETE").source())
    return 0
