# make run        start Quanheng, play a minute of simulated card traffic, print the table, go on serving
# make run ONCE=1 the same, and end after the table
# make test       everything that must pass: style, types, import law, tests, documentation; JOBS=1 one file at a time
# make test-long  long simulations; the last result is recorded in docs/operating/long-tests.md
# make bench      every bench id of bench/manifest.toml
# make lint       style, types, import law

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PACK   ?= card_fraud
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ONCE   ?=
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test test-long bench lint clean

help:
	@sed -n 's/^# make/make/p' Makefile

$(VENV)/base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Quanheng needs Python 3.11 or newer; was " + sys.version.split()[0] + ". Set PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Quanheng into $(VENV) …"
	@$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/all: $(VENV)/base
	@echo "Installing what tests and benches need …"
	@$(PIP) install -c constraints.txt -e '.[models,excel,offline,spark,cluster,stream,payments,calls,bench,test,dev]'
	@touch $@

run: $(VENV)/base
	@$(BIN)/quanheng run --pack $(PACK) $(if $(ONCE),--once)

lint: $(VENV)/all
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -m "not long" --hypothesis-profile=same -n $(JOBS) --dist loadfile

test-long: $(VENV)/all
	$(BIN)/pytest -m long --timeout=0 --durations=20

bench: $(VENV)/all
	$(BIN)/quanheng bench --all --json

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
