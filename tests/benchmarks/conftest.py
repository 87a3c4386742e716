"""Makes `benchmarks` importable: it is a tool of the repository and not part of the package."""

import sys
from pathlib import Path

# At the end, so that `cachannel` is still tested as installed. This folder must stay without an
# __init__.py: a package tests/benchmarks could be found in place of the tool.
sys.path.append(str(Path(__file__).resolve().parents[2]))
