"""Names that programs use together with the asyncio client."""

from __future__ import annotations

from asyncio import create_task, get_running_loop, run

__all__ = ["create_task", "get_running_loop", "run"]
