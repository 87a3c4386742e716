"""Run one scenario of one Python peer and print its result as a line of JSON.

    python -P benchmarks/launch.py PEER_MODULE SCENARIO name=value ...

A script, not a module of the package, because it runs in interpreters that do not know this
project. The project's folder goes to the *end* of the import path: whatever is installed in the
interpreter comes first, so a rival is never replaced by a folder of ours, and ours is measured as
installed.
"""

import dataclasses
import importlib
import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    module_name, scenario_name, *rest = arguments
    sys.path.append(str(ROOT))
    protocol = importlib.import_module("benchmarks.peers.protocol")
    module = importlib.import_module(f"benchmarks.peers.{module_name}")
    scenario = module.SCENARIOS[scenario_name]
    result = scenario(protocol.Parameters(dict(item.split("=", 1) for item in rest)))
    print(json.dumps(dataclasses.asdict(result)))
    sys.stdout.flush()
    # Exits of the packages are not what is measured, and one of them aborts there.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
