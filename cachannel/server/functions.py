"""Subgroups made of a function (`pvfunction`) and of a pair of PVs (`get_pv_pair_wrapper`)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

from cachannel.protocol.errors import CaprotoRuntimeError

from .group import PVGroup, SubGroup
from .pvspec import pvproperty

__all__ = ["get_pv_pair_wrapper", "pvfunction"]

_STATUS_LENGTH = 255
_TEXT_LENGTH = 255


class pvfunction(SubGroup):  # noqa: N801 - the name is a contract
    """Serve a function: a PV per argument, and ``Process``, ``Retval`` and ``Status``.

    Putting to ``Process`` calls the function with the arguments' present values.

    Args:
        func: ``async (self, argument: type = value, ...) -> type``; absent when the decorator is
            called with arguments.
        default: initial value of ``Retval``.
        names: other names for ``process``, ``retval``, ``status`` and arguments.
        alarm_group: of all PVs; the function's name if absent.
        prefix: see `SubGroup`.
        macros: see `SubGroup`.
        attr_separator: see `SubGroup`.
        doc: description; the function's if absent.

    Raises:
        CaprotoRuntimeError: an argument or the result without annotation.
    """

    default_names = {"process": "Process", "retval": "Retval", "status": "Status"}  # noqa: RUF012

    def __init__(
        self,
        func: Callable[..., Any] | None = None,
        default: Any = None,
        names: dict[str, str] | None = None,
        alarm_group: Any = None,
        prefix: str | None = None,
        macros: dict[str, str] | None = None,
        attr_separator: str | None = None,
        doc: str | None = None,
    ) -> None:
        super().__init__(
            prefix=prefix,
            macros=macros,
            attr_separator=attr_separator,
            doc=doc,
            base=(_FunctionGroup,),
        )
        self.default_retval = default
        self.names = {**self.default_names, **(names or {})}
        self.alarm_group = alarm_group
        self.func: Callable[..., Any] | None = None
        if func is not None:
            self(func)

    def __call__(self, group: Any = None, **kwargs: Any) -> SubGroup:
        """Take the function below the decorator."""
        func = group
        if self.func is not None or func is None:
            raise CaprotoRuntimeError("a pvfunction serves one function")
        if not inspect.iscoroutinefunction(func):
            raise CaprotoRuntimeError(f"pvfunction {func.__name__} must be async")
        self.func = func
        if self.alarm_group is None:
            self.alarm_group = func.__name__
        if self.__doc__ is None:
            self.__doc__ = inspect.getdoc(func)
        self._take(self._specs(func))
        return self

    def _specs(self, func: Callable[..., Any]) -> dict[str, Any]:
        hints = get_type_hints(func)
        parameters = list(inspect.signature(func).parameters.values())[1:]
        arguments = [parameter.name for parameter in parameters]
        for name in (*arguments, "return"):
            if name not in hints:
                raise CaprotoRuntimeError(
                    f"pvfunction {func.__name__}: no annotation of {name!r}, so its PV has no type"
                )
        specs: dict[str, Any] = {}
        for parameter in parameters:
            default = None if parameter.default is parameter.empty else parameter.default
            specs[parameter.name] = self._spec(
                self.names.get(parameter.name, parameter.name), hints[parameter.name], default
            )
        specs["status"] = pvproperty(
            name=self.names["status"],
            value="Init",
            max_length=_STATUS_LENGTH,
            read_only=True,
            alarm_group=self.alarm_group,
        )
        default = self.default_retval
        specs["retval"] = self._spec(self.names["retval"], hints["return"], default, read_only=True)
        # The attribute is called as the PV is, as in caproto; see `_FunctionGroup`.
        specs[self.names["process"]] = pvproperty(
            name=self.names["process"],
            value=0,
            put=_processor(func, arguments),
            alarm_group=self.alarm_group,
        )
        return specs

    def _spec(self, name: str, dtype: Any, value: Any, **kwargs: Any) -> pvproperty:
        if dtype in (str, bytes):
            kwargs["max_length"] = _TEXT_LENGTH
        elif isinstance(value, (list, tuple)):
            kwargs["max_length"] = max(len(value), 1)
        return pvproperty(
            name=name, dtype=dtype, value=value, alarm_group=self.alarm_group, **kwargs
        )


class _FunctionGroup(PVGroup):
    """The PVs of a function."""

    @property
    def process(self) -> Any:
        """The PV that calls the function when it is put to, whatever it is named."""
        return next(reversed(self.attr_pvdb.values()))


def _processor(func: Callable[..., Any], arguments: list[str]) -> Callable[..., Any]:
    """Return the putter of ``Process``."""

    async def process(group: PVGroup, instance: Any, value: Any) -> Any:
        given = {name: group.attr_pvdb[name].value for name in arguments}
        try:
            result = await func(group, **given)
            await group.attr_pvdb["retval"].write(result)
        except Exception as exc:
            await group.attr_pvdb["status"].write(f"{type(exc).__name__}: {exc}")
            raise
        await group.attr_pvdb["status"].write("Success")
        return value

    return process


def get_pv_pair_wrapper(
    setpoint_suffix: str = "", readback_suffix: str = "_RBV"
) -> Callable[..., SubGroup]:
    """Return a factory of setpoint and readback pairs.

    The factory takes ``get put startup shutdown name dtype value max_length alarm_group doc
    fields scan setpoint_kw readback_kw`` and arguments of the data class, all by keyword. It
    returns a `SubGroup` with ``setpoint`` and ``readback`` (read only). ``put`` belongs to the
    setpoint; what is written is passed on to the readback if there is none. ``get``, ``startup``,
    ``shutdown`` and ``scan`` belong to the readback.

    Args:
        setpoint_suffix: of the setpoint's PV name.
        readback_suffix: of the readback's.
    """

    async def put_default(group: Any, instance: Any, value: Any) -> None:
        await group.readback.write(value)

    def wrapper(
        *,
        get: Callable[..., Any] | None = None,
        put: Callable[..., Any] | None = None,
        startup: Callable[..., Any] | None = None,
        shutdown: Callable[..., Any] | None = None,
        name: str | None = None,
        dtype: Any = None,
        value: Any = None,
        max_length: int | None = None,
        alarm_group: Any = None,
        doc: str | None = None,
        fields: Any = None,
        scan: Callable[..., Any] | None = None,
        setpoint_kw: dict[str, Any] | None = None,
        readback_kw: dict[str, Any] | None = None,
        **cls_kwargs: Any,
    ) -> SubGroup:
        if "read_only" in cls_kwargs:
            raise RuntimeError("of a pair, the readback is read only and the setpoint is not")
        common: dict[str, Any] = {
            "dtype": dtype,
            "value": value,
            "max_length": max_length,
            "alarm_group": alarm_group,
            "doc": doc,
            "fields": fields,
            **cls_kwargs,
        }
        setpoint = {**common, "put": put or put_default, "name": setpoint_suffix}
        readback = {
            **common,
            "get": get,
            "startup": startup,
            "shutdown": shutdown,
            "scan": scan,
            "name": readback_suffix,
            "read_only": True,
        }
        setpoint.update(setpoint_kw or {})
        readback.update(readback_kw or {})
        return SubGroup(
            {"setpoint": pvproperty(**setpoint), "readback": pvproperty(**readback)},
            prefix=name,
            attr_separator="",
            doc=doc,
        )

    return wrapper
