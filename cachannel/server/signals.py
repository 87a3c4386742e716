"""SIGTERM and SIGHUP end a server as Ctrl-C does.

systemd, Docker, Kubernetes and procServ stop a process with SIGTERM, and a terminal that is closed
sends SIGHUP. By default both kill the process before the shutdown hooks of its IOC run.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

__all__ = ["ending_signals"]

_NAMES: Final = ("SIGTERM", "SIGHUP")  # Windows lacks SIGHUP


def _unblock(numbers: set[int]) -> set[int]:
    """Unblock signals in this thread; return those that were blocked. Windows blocks none."""
    if not hasattr(signal, "pthread_sigmask"):
        return set()
    return numbers & signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


def _block(numbers: set[int]) -> None:
    if numbers:
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


@contextlib.contextmanager
def ending_signals(end: Callable[[str], object], *, ctrl_c: bool = False) -> Iterator[None]:
    """Have a function called, in the main thread, for each SIGTERM and SIGHUP in a ``with`` block.

    A signal that is blocked, as it is for programs that procServ starts, is unblocked meanwhile.

    A signal that the program handles itself or ignores (SIGHUP under nohup) is left alone, and in
    another thread than the main one, where Python handles no signals, nothing is done.

    Repeated signals are passed on as well: they must not cut the shutdown hooks short, because
    supervisors may send both signals, or one of them to a whole group of processes more than once.

    Args:
        end: called with the name of the signal; it must only ask for the end.
        ctrl_c: treat the first SIGINT in the same way; the second raises KeyboardInterrupt.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: object) -> None:
        end(signal.Signals(number).name)

    def handle_once(number: int, frame: object) -> None:
        signal.signal(number, signal.default_int_handler)
        handle(number, frame)

    wanted: list[tuple[str, Any, Any]] = [(name, signal.SIG_DFL, handle) for name in _NAMES]
    if ctrl_c:
        wanted.append(("SIGINT", signal.default_int_handler, handle_once))
    taken: list[tuple[int, Any, Any]] = []
    blocked: set[int] = set()
    try:
        for name, default, handler in wanted:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is default:
                signal.signal(number, handler)
                taken.append((number, default, handler))
        blocked = _unblock({number for number, _, _ in taken})
        yield
    finally:
        _block(blocked)
        for number, default, handler in taken:
            if signal.getsignal(number) is handler:
                signal.signal(number, default)
