"""``python -m cachannel COMMAND``."""

from __future__ import annotations

import sys

_USAGE = """\
usage: python -m cachannel COMMAND

commands:
  demo      show Channel Access at work, against an IOC that the demo brings
  repeater  run a CA repeater in the foreground

with the extra 'cli' (pip install 'cachannel-cffi[cli]'):
  get put monitor info search doctor ioc shell
"""


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What follows the name of the package; those of the process when None.

    Returns:
        The exit status of the command; 2 for wrong arguments.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["demo"]:
        from cachannel import demo

        return demo.main()
    if arguments == ["repeater"]:
        from cachannel import repeater

        return repeater.main([])
    try:
        import click  # noqa: F401
    except ImportError:
        asked = arguments in (["-h"], ["--help"])
        (sys.stdout if asked else sys.stderr).write(_USAGE)
        return 0 if asked else 2
    from cachannel.cli.main import main as command

    return command(arguments) if arguments else _no_command()


def _no_command() -> int:
    sys.stderr.write(_USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main())
