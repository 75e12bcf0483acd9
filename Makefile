# Every target sets up first; where nothing has changed since, that takes no time.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

# The first of these that runs here and is new enough; `make PYTHON=...` names another.
PYTHON ?= $(shell for each in python3.11 python3; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$each" && break; done)
BIN := .venv/bin

# As if the environment were activated; `dg` warns where it is not.
check: export VIRTUAL_ENV := $(CURDIR)/.venv
check: export DAGSTER_HOME := $(CURDIR)/.portability/dagster

.DEFAULT_GOAL := help
.PHONY: help setup demo up launch restore drill test check bench lock clean

help: ## Say what there is to make
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: .venv/.installed ## Install what the lock file pins, into .venv

.venv/.installed: requirements.lock pyproject.toml .ci/setup
	@.ci/setup "$(PYTHON)"
	@touch $@

# By way of the environment and unexpanded, so that a path may hold anything.
unexport DB
demo: export DEMO_DATABASE := $(value DB)
IS_NAMED := $(filter command environment,$(origin DB))
demo: setup ## Export, migrate, back up and prove a sample database, or yours: DB=path
	@$(BIN)/python -m portability_pipelines.demo $(if $(IS_NAMED),-- "$$DEMO_DATABASE")

up: setup ## Serve the Dagster UI and the schedules on http://127.0.0.1:3000
	@$(BIN)/python -m portability_pipelines.demo.serve

launch: setup ## Materialise and prove assets, as in CI: ASSETS=... PARTITION=2026-10-01
	@$(BIN)/python -m portability_pipelines.demo.launch \
		"$${ASSETS-}" $${PARTITION:+"$$PARTITION"}

restore drill: override export DATABASE := $(value DATABASE)
restore drill: override export ARCHIVE := $(value ARCHIVE)
restore: override export TARGET := $(value TARGET)
restore: setup ## Restore a backup to a new file: DATABASE=shop TARGET=new.sqlite [ARCHIVE=id]
	@$(BIN)/python -m portability_pipelines.demo.recover -- restore "$$DATABASE" "$$ARCHIVE" "$$TARGET"

drill: setup ## Restore a backup into scratch and prove all of it: DATABASE=shop [ARCHIVE=id]
	@$(BIN)/python -m portability_pipelines.demo.recover -- drill "$$DATABASE" "$$ARCHIVE"

test: setup ## Run the tests
	$(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

check: setup ## Lint, check types, imports, configuration and definitions
	@umask 077; mkdir -p "$$DAGSTER_HOME"; cp dagster.yaml "$$DAGSTER_HOME"/
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/dg check toml
	$(BIN)/dg check yaml
	$(BIN)/dg check defs

bench: setup ## Measure exports and backups beside other tools
	$(BIN)/python -m benchmarks $(ARGS)

lock: setup ## Pin anew what pyproject.toml asks for; UPGRADE=--upgrade takes newer versions
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url \
		--no-emit-index-annotation --no-annotate --no-header --all-extras $(UPGRADE) \
		pyproject.toml -o requirements.lock

clean: ## Remove the environment and the caches; archives and databases stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .dg
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
