"""Hooks of properties: their signatures, and the loop around a scan hook."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from cachannel.protocol.channel_types import AlarmSeverity, AlarmStatus
from cachannel.protocol.errors import CaprotoRuntimeError, CaprotoValueError

__all__ = ["check_period", "check_signature", "scan_wrapper"]

_ARGUMENTS = {
    "get": ("instance",),
    "put": ("instance", "value"),
    "startup": ("instance", "async_lib"),
    "shutdown": ("instance", "async_lib"),
    "scan": ("instance", "async_lib"),
}


def check_signature(type_: str, func: Callable[..., Any] | None, expect_method: bool) -> None:
    """Refuse a hook that cannot be called as hooks are.

    Args:
        type_: ``'get'``, ``'put'``, ``'startup'``, ``'shutdown'`` or ``'scan'``.
        func: the hook; None is allowed.
        expect_method: the group is its first argument.

    Raises:
        CaprotoRuntimeError: the hook is not ``async``, or takes other arguments.
    """
    if func is None:
        return
    arguments = (("group",) if expect_method else ()) + _ARGUMENTS[type_]
    target = inspect.unwrap(func)
    code = getattr(target, "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
    name = getattr(func, "__qualname__", repr(func))
    wanted = f"async def {getattr(func, '__name__', 'hook')}({', '.join(arguments)})"
    if not inspect.iscoroutinefunction(func) and not inspect.iscoroutinefunction(
        getattr(func, "__call__", None)  # noqa: B004 - asks for the method, not whether it is there
    ):
        raise CaprotoRuntimeError(f"{type_} hook {name}{where} is not async; it must be: {wanted}")
    try:
        inspect.signature(func).bind(*arguments)
    except TypeError as exc:
        raise CaprotoRuntimeError(
            f"{type_} hook {name}{where} has a wrong signature ({exc}); it must be: {wanted}"
        ) from exc


def check_period(period: float | None, use_scan_field: bool) -> None:
    """Refuse a scan without a period.

    Raises:
        CaprotoValueError: the period, in seconds, is not positive, and no SCAN field gives one.
    """
    if not use_scan_field and (period is None or not period > 0):
        raise CaprotoValueError(f"the period of a scan must be positive, not {period}")


def scan_wrapper(
    scan_function: Callable[..., Coroutine[Any, Any, Any]],
    period: float | None,
    *,
    subtract_elapsed: bool = True,
    stop_on_error: bool = False,
    failure_severity: AlarmSeverity = AlarmSeverity.MAJOR_ALARM,
    use_scan_field: bool = False,
) -> Callable[..., Coroutine[Any, Any, None]]:
    """Return a scan hook that calls a function again and again.

    An exception is logged and sets the channel's alarm to SCAN; the next good call clears it, if
    it is still that.

    Args:
        scan_function: ``async (group, instance, async_lib)``.
        period: seconds between the starts of two calls; the first is immediate. None waits for the
            first write of the SCAN field.
        subtract_elapsed: the period counts from the start of a call, not from its end.
        stop_on_error: an exception ends the scan.
        failure_severity: of the alarm.
        use_scan_field: the record's SCAN field sets the period once it is written; Passive waits.

    Raises:
        CaprotoValueError: the period is not positive, and no SCAN field gives one.
    """
    check_signature("scan", scan_function, True)
    check_period(period, use_scan_field)

    @wraps(scan_function)
    async def scan(group: Any, instance: Any, async_lib: Any) -> None:
        fields = instance._field_inst if use_scan_field else None
        changed: Any = None
        if fields is not None:
            changed = fields.scan_changed = async_lib.Event()
            if fields.scan_rate_sec is None:
                fields.scan_rate_sec = period
        while True:
            rate = period if fields is None else fields.scan_rate_sec
            if not rate or rate <= 0:
                await changed.wait()
                changed.clear()
                continue
            started = time.monotonic()
            try:
                await scan_function(group, instance, async_lib)
            except Exception:
                instance.log.exception("scan of %s failed", instance.name)
                await instance.alarm.write(status=AlarmStatus.SCAN, severity=failure_severity)
                if stop_on_error:
                    raise
            else:
                alarm = instance.alarm
                if (alarm.status, alarm.severity) == (AlarmStatus.SCAN, failure_severity):
                    await alarm.write(status=AlarmStatus.NO_ALARM, severity=AlarmSeverity.NO_ALARM)
            elapsed = time.monotonic() - started if subtract_elapsed else 0.0
            pause = max(0.0, rate - elapsed)
            if changed is None:
                await async_lib.sleep(pause)
            elif await changed.wait(timeout=pause):
                changed.clear()

    return scan
