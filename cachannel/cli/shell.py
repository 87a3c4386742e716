"""``cachannel shell``."""

from __future__ import annotations

from typing import Any

__all__ = ["namespace", "run"]

_BANNER = """\
cachannel shell: read, write, subscribe, block (one PV each);
ctx.get_pvs(...), ctx.read_many([...]), ctx.write_many(...) (many);
caget, caput (CaChannel.util)."""


def namespace() -> dict[str, Any]:
    """Return what the shell knows."""
    from cachannel import util
    from cachannel.sync.client import block, read, read_write_read, subscribe, write
    from cachannel.threading.client import Batch, Context

    return {
        "Batch": Batch,
        "block": block,
        "caget": util.caget,
        "caput": util.caput,
        "ctx": Context(),
        "read": read,
        "read_write_read": read_write_read,
        "subscribe": subscribe,
        "write": write,
    }


def run() -> int:
    """Open the shell. Returns the exit status."""
    names = namespace()
    try:
        from IPython import start_ipython  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        _plain(names)
        return 0

    def complete(_: Any, event: Any) -> list[str]:
        return [name for name, _ in names["ctx"].pvs if name.startswith(event.symbol)]

    from IPython.terminal.embed import (  # type: ignore[import-not-found, unused-ignore]
        InteractiveShellEmbed,
    )

    del start_ipython
    embedded = InteractiveShellEmbed(banner1=_BANNER, user_ns=names)
    embedded.set_hook("complete_command", complete, re_key=".*")
    embedded()
    names["ctx"].disconnect()
    return 0


def _plain(names: dict[str, Any]) -> None:
    """Open Python's own prompt, with completion of names of PVs already seen."""
    import code

    try:
        import readline
        import rlcompleter
    except ImportError:
        readline = None  # type: ignore[assignment]
    if readline is not None:
        known = rlcompleter.Completer(names)

        def complete(text: str, state: int) -> str | None:
            seen = [name for name, _ in names["ctx"].pvs if text and name.startswith(text)]
            return seen[state] if state < len(seen) else known.complete(text, state - len(seen))

        readline.set_completer_delims(readline.get_completer_delims().replace(":", ""))
        readline.set_completer(complete)
        readline.parse_and_bind("tab: complete")
    code.interact(banner=_BANNER, local=names, exitmsg="")
    names["ctx"].disconnect()
