"""The CA repeater, under the names that programs import from here; see `cachannel.repeater`."""

from __future__ import annotations

from cachannel.repeater import (
    RepeaterAlreadyRunning,
    check_for_running_repeater,
    run,
    spawn_repeater,
)

__all__ = ["RepeaterAlreadyRunning", "check_for_running_repeater", "run", "spawn_repeater"]
