"""The command line of an IOC, and `run`."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachannel.logs import config_caproto_logging
from cachannel.protocol.errors import CaprotoValueError
from cachannel.protocol.settings import get_server_address_list

from .core import PVDatabase

if TYPE_CHECKING:
    import argparse

__all__ = ["ioc_arg_parser", "run", "template_arg_parser"]

_LIBRARIES = ("asyncio", "curio", "trio")


def _version() -> str:
    from importlib import metadata  # slow to import, and only the help needs it

    try:
        return metadata.version("cachannel-cffi")
    except metadata.PackageNotFoundError:
        return "unknown"


def template_arg_parser(
    *,
    desc: str,
    default_prefix: str,
    argv: Sequence[str] | None = None,
    macros: dict[str, str | None] | None = None,
    supported_async_libs: Sequence[str] | None = None,
) -> tuple[
    argparse.ArgumentParser,
    Callable[[argparse.Namespace], tuple[dict[str, Any], dict[str, Any]]],
]:
    """Return an argument parser for an IOC that adds arguments of its own.

    Args:
        desc: what the IOC does, for the help.
        default_prefix: of the PV names.
        argv: what `parse_args` reads when it is called without arguments; ``sys.argv`` if absent.
        macros: name to default; None for a macro that has to be given.
        supported_async_libs: the first is the default; all three if absent.

    Returns:
        The parser, and a function that makes ``(ioc_options, run_options)`` of what it parsed
        and sets up logging.
    """
    import argparse  # IOCs without a command line do without it

    libraries = list(supported_async_libs) if supported_async_libs else ["asyncio", "curio", "trio"]
    for library in libraries:
        if library not in _LIBRARIES:
            raise CaprotoValueError(f"unknown async library {library!r}; there are {_LIBRARIES}")
    macros = dict(macros or {})

    class Parser(argparse.ArgumentParser):
        def format_help(self) -> str:
            self.epilog = f"cachannel version {_version()}"
            return super().format_help()

        def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
            return super().parse_known_args(argv if args is None else args, namespace)

    parser = Parser(
        description=desc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--prefix", type=str, default=default_prefix, help="of the PV names")
    volume = parser.add_mutually_exclusive_group()
    volume.add_argument("-q", "--quiet", action="store_true", help="show warnings and worse only")
    volume.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="show clients that come and go; -vv shows every request",
    )
    parser.add_argument(
        "--list-pvs", action="store_true", help="log the names of the PVs at the start"
    )
    parser.add_argument(
        "--async-lib",
        choices=libraries,
        default=libraries[0],
        help="async library to run on (default: %(default)s)",
    )
    parser.add_argument(
        "--interfaces",
        nargs="+",
        default=None,
        metavar="ADDRESS",
        help="addresses to listen on (default: EPICS_CAS_INTF_ADDR_LIST, else all)",
    )
    for name, default in macros.items():
        parser.add_argument(
            f"--{name}",
            type=str,
            required=default is None,
            default=default,
            help=f"macro of the PV names (default: {default})" if default else "macro (required)",
        )

    def split_args(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return (ioc_options, run_options) and set up logging as the options say."""
        _set_up_logging(args.verbose, args.quiet, _ioc_name(args.prefix))
        given = vars(args)
        ioc_options = {
            "prefix": args.prefix,
            "macros": {name: given[name.replace("-", "_")] for name in macros},
        }
        run_options = {
            "module_name": f"cachannel.{args.async_lib}.server",
            "log_pv_names": args.list_pvs,
            "interfaces": args.interfaces or get_server_address_list(),
        }
        return ioc_options, run_options

    return parser, split_args


def _ioc_name(prefix: str) -> str:
    """Return what to call an IOC in its log: its prefix, or its program where that is empty."""
    return prefix or Path(sys.argv[0] or "ioc").stem


def _set_up_logging(verbose: int, quiet: bool, name: str) -> None:
    config_caproto_logging(datefmt="%Y-%m-%d %H:%M:%S", level="DEBUG", name=name)
    root = logging.getLogger("cachannel")
    if quiet:
        root.setLevel(logging.WARNING)
        levels = {"ctx": logging.WARNING, "circ": logging.WARNING}
    elif verbose > 1:
        root.setLevel(logging.DEBUG)
        levels = {"ctx": logging.DEBUG, "circ": logging.DEBUG}
    elif verbose:
        root.setLevel(logging.WARNING)
        levels = {"ctx": logging.DEBUG, "circ": logging.INFO}
    else:
        root.setLevel(logging.WARNING)
        levels = {"ctx": logging.INFO, "circ": logging.WARNING}
    for name, level in levels.items():
        logging.getLogger(f"cachannel.{name}").setLevel(level)


def ioc_arg_parser(
    *,
    desc: str,
    default_prefix: str,
    argv: Sequence[str] | None = None,
    macros: dict[str, str | None] | None = None,
    supported_async_libs: Sequence[str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parse an IOC's command line; for the arguments see `template_arg_parser`.

    Returns:
        ``ioc_options`` (prefix, macros) for the group, ``run_options`` for `run`.

    Raises:
        SystemExit: with status 2 for bad options, 0 for ``--help``.
    """
    parser, split_args = template_arg_parser(
        desc=desc,
        default_prefix=default_prefix,
        argv=argv,
        macros=macros,
        supported_async_libs=supported_async_libs,
    )
    return split_args(parser.parse_args(argv))


def run(
    pvdb: PVDatabase,
    *,
    module_name: str = "cachannel.asyncio.server",
    interfaces: Sequence[str] | None = None,
    log_pv_names: bool = False,
    startup_hook: Any = None,
) -> None:
    """Serve PVs until Ctrl-C, SIGTERM or SIGHUP, which are normal ends.

    The shutdown hooks run, and then this function returns, so that a script that has nothing more
    to do ends with status 0. Signals are handled in the main thread only; a signal that the
    program handles or ignores itself is left alone.

    Args:
        pvdb: PV name to channel, a dict or any object with ``items()``, ``in`` and ``[]``; looked
            up at every search, so it may change while serving.
        module_name: which server: ``cachannel.asyncio.server``, ``.trio.`` or ``.curio.``; the
            names of other packages with such modules stand for ours.
        interfaces: addresses to listen on; EPICS_CAS_INTF_ADDR_LIST if absent.
        log_pv_names: log the names at the start.
        startup_hook: ``async (async_lib)``, started before all other hooks.

    Raises:
        ImportError: the async library is not installed.
        CaprotoNetworkError: no sockets to be had.
        CaprotoTypeError: the pvdb is not a mapping of names to channels.
    """
    parts = module_name.split(".")
    if len(parts) >= 2 and parts[-1] == "server" and parts[-2] in _LIBRARIES:
        # Straight to the shell: the packages of these names also hold clients.
        module = importlib.import_module(f"cachannel.server._{parts[-2]}")
    else:
        module = importlib.import_module(module_name)
    module.run(pvdb, interfaces=interfaces, log_pv_names=log_pv_names, startup_hook=startup_hook)
