"""The client for scripts: functions that connect, do one thing, and let go."""
