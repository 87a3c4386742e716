"""Save the values of PVs to a file, and restore them: autosave's request and save files."""

from epics_compat.autosave.save_restore import AutoSaver, restore_pvs, save_pvs

__all__ = ["AutoSaver", "restore_pvs", "save_pvs"]
