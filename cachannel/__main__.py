"""The ``cachannel`` command, and ``python -m cachannel``.

The command line needs the extra ``cli``; ``demo`` and ``repeater`` work without it.
"""

from __future__ import annotations

import sys

_USAGE = """\
usage: cachannel COMMAND

commands:
  demo      show Channel Access at work, against an IOC that the demo brings
  repeater  run a CA repeater in the foreground

with the extra 'cli' (pip install 'cachannel-cffi[cli]'):
  get put monitor info search doctor shell ioc completion
"""

_LACKING = "needs the extra 'cli': pip install 'cachannel-cffi[cli]'\n"


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: What follows the name of the package; those of the process when None.

    Returns:
        The exit status of the command; 2 for wrong arguments, or when the extra is missing.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        from cachannel.cli.main import main as command
    except ImportError as exc:
        if (exc.name or "").partition(".")[0] != "click":
            raise
        return _without_click(arguments)
    except KeyboardInterrupt:
        return 128 + 2
    return command(arguments)


def _without_click(arguments: list[str]) -> int:
    if arguments == ["demo"]:
        from cachannel import demo

        return demo.main()
    if arguments == ["repeater"]:
        from cachannel import repeater

        return repeater.main([])
    if arguments in (["-V"], ["--version"]):
        from cachannel import __version__

        sys.stdout.write(f"cachannel {__version__}\n")
        return 0
    if arguments in (["-h"], ["--help"]):
        sys.stdout.write(_USAGE)
        return 0
    if arguments and not arguments[0].startswith("-"):
        sys.stderr.write(f"cachannel {arguments[0]} {_LACKING}")
    else:
        sys.stderr.write(_USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main())
