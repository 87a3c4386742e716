"""The name ``epics`` for `epics_compat`, where this folder is on `sys.path`."""

import sys

import epics_compat

del sys.modules["epics"]
epics_compat.install()
