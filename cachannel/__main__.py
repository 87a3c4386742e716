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

_WITH_EXTRA = {
    "get", "put", "monitor", "info", "search", "doctor", "ioc", "shell", "-V", "--version",
}  # fmt: skip


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
    if arguments and arguments[0] in _WITH_EXTRA:
        try:
            from cachannel.cli.main import main as command
        except ImportError:
            sys.stderr.write("this command needs more: pip install 'cachannel-cffi[cli]'\n")
            return 2
        return command(arguments)
    asked = arguments in (["-h"], ["--help"])
    (sys.stdout if asked else sys.stderr).write(_USAGE)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
