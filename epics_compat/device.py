"""`Device`: PVs with a common prefix as attributes of one object."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from epics_compat import dbr, pv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Device"]

_BASE = ("_prefix", "_delim", "_pvs", "_aliases", "_mutable", "_nonpvs", "_init")
NO_PVS = ("__", "_repr_", "_ipython_")
"""Names that Python and IPython look for; as PVs each would cost a wait for a connection."""
_OWN = frozenset((*_BASE, "_timeout"))


class Device:
    """PVs named ``prefix + delim + attribute``: reading the attribute gets, setting it puts.

    Args:
        prefix: start of all names.
        attrs: attributes whose PVs are made at once; they connect in the background.
        nonpvs: names that are plain attributes.
        delim: goes between prefix and attribute.
        timeout: seconds that calls wait for a connection.
        mutable: attributes that are not known are tried as PVs.
        aliases: more names for attributes.
        with_poll: has no effect.
    """

    _nonpvs: Any = ()
    _prefix: str
    _delim: str
    _pvs: dict[str, Any]
    _aliases: Mapping[str, str]

    def __init__(
        self,
        prefix: str = "",
        attrs: Iterable[str] | None = None,
        nonpvs: Iterable[str] | None = None,
        delim: str = "",
        timeout: float | None = None,
        mutable: bool = True,
        aliases: Mapping[str, str] | None = None,
        with_poll: bool = True,
    ) -> None:
        own = self.__dict__
        own["_nonpvs"] = {*_BASE, *type(self)._nonpvs, *(nonpvs or ())}
        own["_delim"] = delim
        own["_prefix"] = prefix + delim
        own["_pvs"] = {}
        own["_timeout"] = timeout
        own["_mutable"] = mutable
        own["_aliases"] = dict(aliases or {})
        for attr in [*(attrs or ()), *own["_aliases"].values()]:
            if attr not in own["_pvs"]:
                self.PV(attr, connect=False, timeout=timeout)
        own["_init"] = True

    # PVs ------------------------------------------------------------------------------------

    def PV(self, attr: str, connect: bool = True, timeout: float | None = None, **kw: Any) -> Any:
        """Give the PV of an attribute, making it when it is not known.

        Args:
            attr: the attribute, or an alias of it.
            connect: wait for the connection.
            timeout: seconds of that wait.
            kw: for `get_pv`.
        """
        known = self._pvs.get(attr)
        if known is None and attr in self._aliases:
            attr = self._aliases[attr]
            known = self._pvs.get(attr)
        if known is None:
            # A full name comes from `add_pv`.
            self._pvs[attr] = known = self._make(f"{self._prefix}{attr}", timeout, **kw)
        if connect and not known.connected:
            known.wait_for_connection(timeout)
        return known

    def _make(self, pvname: str, timeout: float | None, **kw: Any) -> Any:
        limit = timeout if timeout is not None else self.__dict__.get("_timeout")
        if limit is not None:
            kw.setdefault("timeout", limit)
        return pv.get_pv(pvname, **kw)

    def add_pv(self, pvname: str, attr: str | None = None, **kw: Any) -> Any:
        """Add any PV under an attribute; default under its own name."""
        made = self._make(pvname, None, **kw)
        self._pvs[pvname if attr is None else attr] = made
        return made

    def put(
        self,
        attr: str,
        value: Any,
        wait: bool = False,
        use_complete: bool = False,
        timeout: float = 10,
    ) -> Any:
        """Write the PV of an attribute; see `PV.put`."""
        target = self.PV(self._aliases.get(attr, attr))
        return target.put(value, wait=wait, use_complete=use_complete, timeout=timeout)

    def get(
        self,
        attr: str,
        as_string: bool = False,
        count: int | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Read the PV of an attribute; see `PV.get`."""
        target = self.PV(self._aliases.get(attr, attr))
        return target.get(as_string=as_string, count=count, timeout=timeout)

    def add_callback(self, attr: str, callback: Callable[..., Any], **kws: Any) -> Any:
        """Have a function called at the changes of an attribute; see `PV.add_callback`."""
        return self.PV(self._aliases.get(attr, attr)).add_callback(callback, **kws)

    def remove_callbacks(self, attr: str, index: Any = None) -> None:
        """Remove a callback of an attribute."""
        self.PV(self._aliases.get(attr, attr)).remove_callback(index=index)

    @classmethod
    def pv_property(
        cls, attr: str, as_string: bool = False, wait: bool = False, timeout: float = 10.0
    ) -> property:
        """Build a property that reads and writes an attribute."""
        return property(
            lambda self: self.get(attr, as_string=as_string),
            lambda self, value: self.put(attr, value, wait=wait, timeout=timeout),
            None,
            f"The PV of {attr}.",
        )

    # State ----------------------------------------------------------------------------------

    def get_all(self) -> dict[str, Any]:
        """Read all attributes."""
        state = {}
        for attr, known in list(self._pvs.items()):
            if known is not None:
                state[attr] = known.get(as_string=known.type == "char")
        return state

    save_state = get_all

    def restore_state(self, state: Mapping[str, Any]) -> None:
        """Write the attributes of a dict, those that are known and writable.

        None stands for a PV that could not be read when the state was saved; it is left out.
        """
        for attr, value in state.items():
            known = self._pvs.get(attr)
            if value is None:
                continue
            if known is not None and known.wait_for_connection() and known.write_access:
                known.put(value)

    def write_state(self, fname: str, state: Mapping[str, Any] | None = None) -> None:
        """Write the state to a text file: scalars and text of writable PVs, sorted.

        Args:
            fname: the file.
            state: what `save_state` gave; None: what is now.
        """
        values = self.save_state() if state is None else state
        kind = type(self).__name__
        lines = [f"#Device Saved State for {kind},prefix='{self._prefix}',time={time.ctime()}"]
        for attr in sorted(values):
            known = self._pvs.get(attr)
            if known is None or not known.connected or not known.write_access:
                continue
            if known.count == 1 or known.type == "char":
                lines.append(f"{attr} {values[attr]}")
        with open(fname, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def read_state(self, fname: str, restore: bool = False) -> dict[str, Any]:
        """Read what `write_state` wrote.

        Args:
            fname: the file.
            restore: put the values, too.

        Returns:
            Attributes and values, converted as the PVs' types want it.
        """
        state: dict[str, Any] = {}
        with open(fname, encoding="utf-8") as file:
            for line in file:
                if line.startswith("#") or not line.strip():
                    continue
                attr, _, text = line.rstrip("\n").partition(" ")
                if attr in self._pvs:
                    state[attr] = _converted(self._pvs[attr], text)
        if restore:
            self.restore_state(state)
        return state

    # Attributes -----------------------------------------------------------------------------

    def __getattr__(self, attr: str) -> Any:
        own = self.__dict__
        if attr.startswith(NO_PVS) or "_init" not in own or attr in _OWN:
            raise AttributeError(attr)
        target = own["_aliases"].get(attr, attr)
        known = target in own["_pvs"]
        if known:
            return self.get(attr)
        if own["_mutable"] and attr not in own["_nonpvs"]:
            made = self.PV(target)
            if made.connected:
                return self.get(attr)
            own["_pvs"].pop(target, None)
        message = f"{type(self).__name__} has no attribute {attr!r}"
        raise AttributeError(message)

    def __setattr__(self, attr: str, val: Any) -> None:
        own = self.__dict__
        plain = attr in _OWN or attr in own.get("_nonpvs", type(self)._nonpvs)
        if plain or attr.startswith("__") or isinstance(getattr(type(self), attr, None), property):
            object.__setattr__(self, attr, val)
            return
        if "_init" not in own:
            return
        target = own["_aliases"].get(attr, attr)
        if target in own["_pvs"]:
            self.put(attr, val)
            return
        if own["_mutable"]:
            made = self.PV(target)
            if made.connected:
                made.put(val)
                return
            own["_pvs"].pop(target, None)
        message = f"{type(self).__name__} has no attribute {attr!r}"
        raise AttributeError(message)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._pvs, *self._aliases, *self._nonpvs}
        return sorted(names)

    def __repr__(self) -> str:
        prefix = self._prefix.removesuffix(".")
        return f"<Device '{prefix}', {len(self._pvs)} attributes>"


def _converted(known: Any, text: str) -> Any:
    """Convert text of a state file by the native type of its PV."""
    if known is None or known.ftype is None or not known.connected:
        return text
    base = dbr.native_type(known.ftype)
    try:
        if base in (dbr.FLOAT, dbr.DOUBLE):
            return float(text)
        if base in (dbr.SHORT, dbr.LONG, dbr.ENUM) or (base == dbr.CHAR and known.nelm == 1):
            return int(text)
    except ValueError:
        return text
    return text
