"""A folder for `sys.path`; see `epics_compat.install`."""
