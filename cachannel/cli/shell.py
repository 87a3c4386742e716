"""``cachannel shell``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import click

from cachannel.cli.options import CONTEXT_SETTINGS

__all__ = ["command", "names_seen", "namespace", "run"]

_BANNER: Final = """\
cachannel shell
  one PV     read(name)  write(name, value)  sub = subscribe(name)  block(sub)
  many PVs   ctx.read_many(names)  ctx.write_many(names, values)  ctx.get_pvs(*names)
  by value   caget(name)  caput(name, value)        (of CaChannel's util)
Tab completes the names of PVs that were used before."""


@click.command("shell", context_settings=CONTEXT_SETTINGS, short_help="Open a Python shell.")
@click.option("--plain", is_flag=True, help="Python's own prompt, even if IPython is there.")
def command(plain: bool) -> int:
    """Open IPython, or Python if that is not installed, with the clients loaded."""
    return run(plain=plain)


def namespace(seen: dict[str, None]) -> dict[str, Any]:
    """Return what the shell knows.

    Args:
        seen: gets the names of PVs that the functions are called with.
    """
    from cachannel import util
    from cachannel.sync.client import block, read, read_write_read, subscribe, write
    from cachannel.threading.client import Batch, Context

    return {
        "Batch": Batch,
        "block": block,
        "caget": _watched(util.caget, seen),
        "caput": _watched(util.caput, seen),
        "ctx": Context(),
        "read": _watched(read, seen),
        "read_write_read": _watched(read_write_read, seen),
        "subscribe": _watched(subscribe, seen),
        "write": _watched(write, seen),
    }


def _watched(function: Callable[..., Any], seen: dict[str, None]) -> Callable[..., Any]:
    """Make a function that remembers the PVs it succeeded with, in its first argument."""
    import functools

    @functools.wraps(function)
    def watched(name: Any, *args: Any, **kwargs: Any) -> Any:
        result = function(name, *args, **kwargs)
        names = [name] if isinstance(name, str) else name
        if isinstance(names, Iterable):
            seen.update(dict.fromkeys(one for one in names if isinstance(one, str)))
        return result

    return watched


def names_seen(names: dict[str, Any], seen: dict[str, None], prefix: str) -> list[str]:
    """Return the names of PVs that begin with a text: of the functions, and of ``ctx``."""
    known = dict.fromkeys([*seen, *(name for name, _ in names["ctx"].pvs)])
    return sorted(name for name in known if prefix and name.startswith(prefix))


def endings(names: dict[str, Any], seen: dict[str, None], line: str, word: str) -> list[str]:
    """Return what can stand in place of a word: the rests of names of PVs.

    IPython parts words at the colons too, and takes only what begins with the last word.

    Args:
        names: what the shell knows.
        seen: names of PVs.
        line: what was typed, up to the cursor.
        word: the last part of it.
    """
    begun = re.search(r"""["']([^"']*)$""", line)
    if begun is None:
        return []
    prefix = begun.group(1)
    return [name[len(prefix) - len(word) :] for name in names_seen(names, seen, prefix)]


def run(*, plain: bool = False) -> int:
    """Open the shell. Returns the exit status."""
    seen: dict[str, None] = {}
    names = namespace(seen)
    try:
        if plain or not _ipython(names, seen):
            _plain(names, seen)
    finally:
        names["ctx"].disconnect()
    return 0


def _ipython(names: dict[str, Any], seen: dict[str, None]) -> bool:
    """Open IPython; False when it is not installed."""
    try:
        from IPython.terminal.embed import (  # type: ignore[import-not-found, unused-ignore]
            InteractiveShellEmbed,
        )
    except ImportError:
        return False

    def complete(_: Any, event: Any) -> list[str]:
        return endings(names, seen, event.text_until_cursor, event.symbol)

    embedded = InteractiveShellEmbed(banner1=_BANNER + "\n", user_ns=names, confirm_exit=False)
    embedded.set_hook("complete_command", complete, re_key=".*")
    embedded()
    return True


def _plain(names: dict[str, Any], seen: dict[str, None]) -> None:
    """Open Python's own prompt."""
    import code

    try:
        import readline
        import rlcompleter
    except ImportError:
        pass
    else:
        known = rlcompleter.Completer(names)

        def complete(text: str, state: int) -> str | None:
            found = names_seen(names, seen, text)
            return found[state] if state < len(found) else known.complete(text, state - len(found))

        # A PV's name goes on after these, unlike a name of Python.
        delimiters = readline.get_completer_delims()
        readline.set_completer_delims("".join(c for c in delimiters if c not in ":-{}$"))
        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")
    code.interact(banner=_BANNER, local=names, exitmsg="")
