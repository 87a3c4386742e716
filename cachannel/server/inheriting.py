"""What hooks change: a property of the class that is being made, or a copy for a subclass."""

from __future__ import annotations

import weakref
from typing import Any, Self

__all__ = ["Hookable"]


class Hookable:
    """A member of a group's class that decorators attach hooks to.

    A class has a member as soon as it is made; from then on a hook goes to a copy, so that groups
    of that class keep theirs.
    """

    # The class that has it; and the last copy that was made for a hook, with the qualified name of
    # the class whose body the hook stands in.
    _owner: type | None = None
    _last_copy: tuple[str, weakref.ref[Any]] | None = None

    def _copy(self) -> Self:
        """Return a copy for the same attribute."""
        raise NotImplementedError

    def _to_change(self, hook: Any) -> Self:
        """Return what to attach a hook to: this member, or a copy if a class has it.

        The hooks that one subclass attaches to one member go to one copy:
        ``@Base.x.putter`` and ``@Base.x.startup`` above two methods ``x`` count both.
        """
        if self._owner is None:
            return self
        scope = str(getattr(hook, "__qualname__", "")).rpartition(".")[0]
        if self._last_copy is not None:
            last, found = self._last_copy[0], self._last_copy[1]()
            if found is not None and found._owner is None and last == scope:
                copied: Self = found
                return copied
        fresh = self._copy()
        fresh._owner = fresh._last_copy = None
        if scope and not scope.endswith("<locals>"):
            self._last_copy = (scope, weakref.ref(fresh))
        return fresh
