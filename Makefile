# What there is to do here. Each target sets .venv up first; nothing else on the machine is touched.

.PHONY: demo demo-clean demo-hosts demo-hosts-clean test test-fast test-long lint bench clean help
.DEFAULT_GOAL := help
SHELL := /bin/sh
BIN := .venv/bin
# The sampled parts of the tests (simulation, kill test) draw from this; a failing run names it. `make test SEED=7` draws again.
SEED ?= $(shell date +%j%H%M)
export BG_SEED := $(SEED)

help:
	@echo "make demo       the whole story on a small shop, in half a minute"
	@echo "make demo-clean stops that shop, and deletes what it left"
	@echo "make demo-hosts a small fleet of real hosts behind two HAProxies, one of which loses its power (root, Debian)"
	@echo "make demo-hosts-clean   takes those hosts away"
	@echo "make test       everything .ci/run asks: style, types, imports, fast tests, sampled simulation and kill test"
	@echo "make test-fast  the fast tests alone: all but those that drive real programs"
	@echo "make test-long  all of the simulation and every kill; takes long"
	@echo "make bench      measures what is promised, and writes one table"
	@echo "make clean      removes .venv, caches and everything that was made"

demo:
	@tools/set-up run
	@$(BIN)/python examples/shop/demo.py

demo-clean:
	@tools/set-up run
	@$(BIN)/python examples/shop/demo.py --clean

demo-hosts:
	@tools/set-up run
	@tools/hosts
	@$(BIN)/python examples/fleet/demo.py

demo-hosts-clean:
	@tools/set-up run
	@$(BIN)/python examples/fleet/demo.py --clean

lint:
	@tools/set-up dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet . || { echo "not formatted: ruff format ."; exit 1; }
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

test: lint
	@tools/programs
	@tools/hosts || [ -z "$$CI" ]
	@echo "sampled with SEED=$(SEED)"
	$(BIN)/python -m pytest -q -n 4 -m "not slow and not real" tests
	$(BIN)/python -m pytest -q -m "not slow and real" tests
	$(BIN)/python -m pytest -q -m "not slow" e2e

test-fast:
	@tools/set-up dev
	$(BIN)/python -m pytest -q -n 4 -m "not slow and not real" tests

test-long:
	@tools/set-up dev
	@echo "SEED=$(SEED)"
	BG_ALL=1 $(BIN)/python -m pytest -q tests e2e

bench:
	@tools/set-up dev
	$(BIN)/python -m bench

clean:
	@[ ! -x $(BIN)/bgctl ] || $(BIN)/python examples/shop/demo.py --clean
	@[ ! -d examples/fleet/state ] || $(BIN)/python examples/fleet/demo.py --clean
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis examples/shop/releases
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
