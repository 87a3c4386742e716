"""One module per programming interface; each ends with `SCENARIOS`, a name -> function table.

A module is run by `benchmarks.launch` in the interpreter of its peer, so it imports its package at
the top and nothing of the other peers. What a function gets and returns is in `protocol`.
"""
