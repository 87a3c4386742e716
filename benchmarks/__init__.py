"""Measure this package, the C limit and the other Channel Access clients side by side.

`python -m benchmarks` is the one command; `README.md` in this folder says how to read its report.

    plan        which scenarios, which peers, which sizes
    ioc         the softIoc that everybody is measured against, and its loopback environment
    softioc     the script that this process runs
    toolchain   the C client and the interpreter that holds the other packages
    measure     one run = one fresh process
    arithmetic  medians and ratios
    summary     from single runs to one row per peer
    bars        the figures this project has promised to hold
    report      the table and the JSON file
    run         the command line, and the order of the runs
    launch      the child's side: finds the peer's module and prints its result
    peers/      one module per programming interface
    startup/    one script per package, for the start-up time
    climit/     the C client
"""
