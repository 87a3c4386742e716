# `make bench`: included by the Makefile of the project, and complete by itself:
#     make -f benchmarks/bench.mk bench BENCH="--quick"

VENV ?= .venv
# Options for the benchmarks, see benchmarks/README.md.
BENCH ?=

$(VENV)/.bench-installed: pyproject.toml
	test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[bench]'
	touch $@

.PHONY: bench
bench: $(VENV)/.bench-installed
	$(VENV)/bin/python -m benchmarks $(BENCH)
