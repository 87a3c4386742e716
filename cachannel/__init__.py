"""EPICS Channel Access for Python: one engine, every API its users already know."""

__version__ = "0.1.0"
