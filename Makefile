# Every target makes what it needs: the virtual environment, the package, the tools.
#
#   make demo    see Channel Access at work, against an IOC on this machine
#   make test    run the tests
#   make test-ecosystem    run ophyd, bluesky and PyDM on epics_compat
#   make test-own-base     build and run against an EPICS base that is not epicscorelibs
#   make test-wheel        build the wheel, look at it, use it with each Python on this machine
#   make test-suite-on-wheel    run the tests on the installed wheel, with Python 3.13
#   make lint    format, style, types, layers, warnings of the C compiler
#   make docs    build the documentation into docs/_build/html
#   make bench   measure against the other clients (about 20 minutes)
#   make soak    the long robustness runs
#   make clean   remove what was made

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --quiet --disable-pip-version-check
SOURCES := pyproject.toml setup.py build_ffi.py \
           $(wildcard cachannel/_native/cdef/*.h cachannel/_native/src/*.[ch])

.DEFAULT_GOAL := help
.PHONY: help demo test test-ecosystem test-own-base test-wheel test-suite-on-wheel warnings lint docs soak clean

help:
	@sed -n 's/^#   //p' Makefile

$(RUN):
	@command -v $(PYTHON) >/dev/null || { echo "make: Python 3.11 or newer is needed; set PYTHON to it."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: Python 3.11 or newer is needed, and $(PYTHON) is older; set PYTHON to a newer one."; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp per set of extras, older than nothing it depends on.
$(VENV)/.base: $(SOURCES) | $(RUN)
	$(PIP) install --editable .
	@touch $@

$(VENV)/.test: $(SOURCES) | $(RUN)
	$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/.base

$(VENV)/.dev: $(SOURCES) | $(RUN)
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.base $(VENV)/.test

demo: $(VENV)/.base
	@$(RUN) -m cachannel demo

test: $(VENV)/.test
	$(RUN) -m pytest $(ARGS)

$(VENV)/.ecosystem: $(SOURCES) | $(RUN)
	$(PIP) install --editable '.[test-ecosystem]'
	@touch $@ $(VENV)/.base $(VENV)/.test

test-ecosystem: $(VENV)/.ecosystem
	$(RUN) -m pytest tests/ecosystem $(ARGS)

test-own-base: | $(RUN)
	$(RUN) tests/packaging/own_base.py

test-wheel: | $(RUN)
	$(RUN) tests/packaging/wheel.py $(ARGS)

test-suite-on-wheel: | $(RUN)
	$(RUN) tests/packaging/wheel.py --tests 3.13 $(ARGS)

warnings: $(VENV)/.dev
	$(RUN) tests/native/warnings_as_errors.py

lint: $(VENV)/.dev warnings
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(RUN) typing_tests/check.py
	$(VENV)/bin/lint-imports

docs: $(VENV)/.dev
	$(RUN) -m sphinx -q -W -b html docs docs/_build/html

soak: $(VENV)/.test
	$(RUN) -m tests.soak $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build .mypy_cache .ruff_cache .pytest_cache
	rm -f cachannel/_native/_cachannel.*

include benchmarks/bench.mk
