"""``python -m epics_compat PROGRAM [ARGS]``: run a program whose ``epics`` is this package.

``-m MODULE`` and ``-c TEXT`` in place of the program work as they do for ``python``.
"""

from __future__ import annotations

import os
import runpy
import sys

from epics_compat._install import ALIAS_FOLDER, install

_USAGE = "usage: python -m epics_compat [-m MODULE | -c TEXT | PROGRAM] [ARGS...]"


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line says, as ``__main__``.

    Args:
        arguments: the command line after the module's name; None: that of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help") or (given[0] in ("-m", "-c") and len(given) < 2):
        print(_USAGE, file=sys.stderr)  # noqa: T201
        raise SystemExit(0 if given and given[0] in ("-h", "--help") else 2)
    install()
    # Before an installed pyepics, so that children of multiprocessing find the alias first.
    sys.path.remove(ALIAS_FOLDER)
    sys.path.insert(0, ALIAS_FOLDER)
    if given[0] == "-m":
        sys.argv = given[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(given[1], run_name="__main__", alter_sys=True)
    elif given[0] == "-c":
        sys.argv = ["-c", *given[2:]]
        sys.path.insert(0, "")
        exec(compile(given[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        if not os.path.exists(given[0]):
            print(f"python -m epics_compat: there is no file {given[0]!r}", file=sys.stderr)  # noqa: T201
            raise SystemExit(2)
        sys.argv = given
        sys.path.insert(0, os.path.dirname(os.path.abspath(given[0])))
        runpy.run_path(given[0], run_name="__main__")


if __name__ == "__main__":
    main()
