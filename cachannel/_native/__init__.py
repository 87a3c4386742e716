"""The C boundary: libca behind ids, a bounded event queue, and waits that need no Python.

This is the only place where `ffi` and `lib` come from. Raw C names stay on ``lib.``; what they
do is told in ``cdef/engine.h``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cachannel._native.loading import load

if TYPE_CHECKING:
    ffi: Any
    lib: Any

__all__ = ["ffi", "lib"]

_extension = load()
ffi, lib = _extension.ffi, _extension.lib
if not lib.cc_initialize():
    message = "cachannel: out of memory while setting up the C boundary"
    raise ImportError(message)

os.register_at_fork(after_in_child=lib.cc_after_fork)
