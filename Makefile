# The verbs of this checkout. `make` alone lists them; each prepares what it needs first (tools/setup).
SHELL := /bin/sh
.SHELLFLAGS := -eu -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/bin:$(PATH)
# Where it is set (containers often do), every process compiles every module again: twice the time of a command.
unexport PYTHONDONTWRITEBYTECODE

# Groups, not single tests, are handed to the workers (tests/conftest.py): servers are then set up once. Much of a
# test on real servers is waiting, so there are more workers than cores.
WORKERS ?= 4
ENGINE ?= cnpg
PYTEST_ARGS ?=
BENCH_ARGS ?=
SOURCES := core/src $(wildcard engines/*/src) tests/lab/src $(wildcard tests/downstream/*/src)
PYTHON := core engines tests tools $(wildcard bench)
SCRIPTS := $(wildcard tools/*)

.PHONY: help setup demo test test-long lint type bench fmt clean

help:  ## this list
	@echo "hasteward: make VERB"
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r verb what; do \
	  printf '  %-10s %s\n' "$$verb" "$$what"; done

setup:  ## install what is missing: Debian packages, restic, .venv (says what; a no-op when all is there)
	@tools/setup

demo: setup  ## a database on this machine: triage, backup, damage, restore (ENGINE=cnpg, galera, vault, standalone)
	@hasteward lab demo --engine $(ENGINE)

test: setup  ## the tests that must always pass (PYTEST_ARGS="-k name" chooses, WORKERS=0 runs them in one process)
	@pytest -m "not long" -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-long: setup  ## the tests that take minutes on real servers
	@status=0; pytest -m long $(PYTEST_ARGS) || status=$$?; \
	if [ $$status = 5 ]; then echo "no long test was chosen"; else exit $$status; fi

lint: setup  ## style, imports between the rooms, syntax of the scripts
	@ruff check $(PYTHON)
	@ruff format --check $(PYTHON)
	@lint-imports --no-cache
	@for script in $(SCRIPTS); do sh -n "$$script"; done; bash -n .ci/run
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS) .ci/run; fi

type: setup  ## mypy, strict
	@mypy $(SOURCES)

bench: setup  ## ratios against the raw tools, and time to healthy; no test (BENCH_ARGS=--write keeps the pages)
	@python bench/run.py $(BENCH_ARGS)
	@python bench/heal.py $(BENCH_ARGS)
	@python bench/galera.py $(BENCH_ARGS)

fmt: setup  ## put every file into its one form, with the safe fixes
	@ruff format $(PYTHON)
	@ruff check --fix $(PYTHON)

clean:  ## remove everything that was made here, .venv and .tools too
	rm -rf .venv .tools .make .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage* dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
