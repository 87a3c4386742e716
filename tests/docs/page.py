"""Run the code of one page of the documentation, top to bottom, in one namespace.

``python page.py PAGE SETUP``: blocks marked ``python`` are executed, those marked ``pycon`` are
sessions whose output is compared (``...`` stands for anything). ``await`` is allowed outside of
functions. SETUP is Python that runs first: what the page takes for granted. A block that runs for
ever ends by raising `Enough`, or with Ctrl-C. SETUP may have CHECKS: by the number of a block, a
function that is true when the block has done what it shall do; ``printed()`` gives what blocks
have printed so far. Exits with 1 and a report when something differs.
"""

import ast
import asyncio
import contextlib
import doctest
import io
import re
import sys
import time
import traceback
import types
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(python|pycon)\n(.*?)^```", re.DOTALL | re.MULTILINE)
WAIT = 30.0
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


class Enough(Exception):
    """What a block runs for has happened."""


class Page:
    """A page that is being run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loop = asyncio.new_event_loop()
        self.out = io.StringIO()
        self.namespace: dict[str, Any] = {
            "__name__": "__main__", "Enough": Enough, "printed": self.out.getvalue,
        }  # fmt: skip
        self.failures = 0

    def run(self, source: str, name: str, mode: str) -> None:
        """Execute source, with top-level await."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, name, mode, flags, dont_inherit=True)

        async def within_the_loop() -> None:
            made = types.FunctionType(code, self.namespace)()
            if asyncio.iscoroutine(made):
                await made

        if self.namespace.get("ASYNC"):
            self.loop.run_until_complete(within_the_loop())
        else:
            exec(code, self.namespace)

    def block(self, source: str, name: str) -> None:
        """Execute a block of a program."""
        try:
            self.run(source, name, "exec")
        except (Enough, KeyboardInterrupt):
            pass
        except BaseException:
            self.fail(name, source, traceback.format_exc())

    def check(self, number: int, name: str) -> None:
        """Wait until a block has done what it shall do; callbacks may need a moment."""
        held = self.namespace.get("CHECKS", {}).get(number)
        deadline = time.monotonic() + WAIT
        try:
            while held is not None and not held():
                if time.monotonic() > deadline:
                    self.fail(name, "", f"its check did not hold; printed: {self.out.getvalue()}")
                    return
                time.sleep(0.01)
        except BaseException:
            self.fail(name, "", traceback.format_exc())

    def session(self, source: str, name: str) -> None:
        """Execute a session, and compare what it prints."""
        checker = doctest.OutputChecker()
        for example in doctest.DocTestParser().get_examples(source, name):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                try:
                    self.run(example.source, name, "single")
                except BaseException as exc:
                    kind = type(exc)
                    out.write(f"Traceback (most recent call last):\n    ...\n{kind.__module__}.")
                    out.write(f"{kind.__qualname__}: {exc}\n")
            if not checker.check_output(example.want, out.getvalue(), FLAGS):
                self.fail(f"{name}, line {example.lineno + 1}", example.source,
                          checker.output_difference(example, out.getvalue(), FLAGS))  # fmt: skip

    def fail(self, name: str, source: str, text: str) -> None:
        """Report a failure."""
        self.failures += 1
        sys.stderr.write(f"--- {name}\n{source}\n{text}\n")

    def all(self) -> None:
        """Run every block."""
        for number, (kind, source) in enumerate(FENCE.findall(self.path.read_text()), 1):
            name = f"{self.path.name}, block {number}"
            if kind == "pycon":
                self.session(source, name)
                continue
            with contextlib.redirect_stdout(self.out):
                self.block(source, name)
                self.check(number, name)


def main() -> int:
    page = Page(Path(sys.argv[1]))
    setup = sys.argv[2]
    # Programs on the page have no arguments.
    del sys.argv[1:]
    exec(setup, page.namespace)
    page.all()
    return 1 if page.failures else 0


if __name__ == "__main__":
    sys.exit(main())
