# Everything a developer or CI calls. `make` alone lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests of real programs. They wait for conditions, never for a time, but what they measure takes processor.
REAL := go or apiserver or browser or cluster
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

$(VENV)/ready: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: setup
setup: $(VENV)/ready ## Make the environment in .venv, from hash-pinned locks

.PHONY: demo
demo: setup ## The whole story on a real cluster, narrated; KEEP=1 keeps it
	@$(BIN)/python -m tests.demo $(if $(KEEP),--keep)

.PHONY: demo-ecs
demo-ecs: setup ## The same story on ECS: real processes, no cluster and no account
	@$(BIN)/python -m tests.ecs.demo

.PHONY: fmt
fmt: setup ## Format and mend what ruff can mend
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.PHONY: lint
lint: setup ## Style, types, import contract
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: unit
unit: setup ## Unit tests, side by side
	@$(BIN)/pytest -q -n 2 -m "not long and not ($(REAL))"

.PHONY: check
check: lint unit ## The quick one: style, types, import contract, unit tests (about three minutes)

.PHONY: binaries
binaries: setup ## Build the real cluster's programs and the image's layers into the cache, once
	@$(BIN)/python -m tests.cluster build >/dev/null

.PHONY: test
test: unit binaries ## Unit tests, real API server, real programs, end to end on a real cluster
	@$(BIN)/pytest --cache-clear -m "not long and ($(REAL))" || { \
	  echo "What failed runs once more, alone: a real program may have been short of processor for a moment."; \
	  $(BIN)/pytest --last-failed --last-failed-no-failures=none -m "not long and ($(REAL))"; }

.PHONY: test-all
test-all: binaries ## Everything, also what takes long
	@$(BIN)/pytest

.PHONY: bench-detection
bench-detection: setup ## Score the detector and its peers through time
	@$(BIN)/python -m tests.benchmarks.detection

.PHONY: generate
generate: setup ## Write what is generated: reference pages and the chart's copies
	@$(BIN)/python -m docs.generators

.PHONY: docs
docs: generate ## Build the documentation's site into dist/site, strictly
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet && echo "dist/site/index.html"

.PHONY: release
release: setup ## Build what is published into dist/: wheel, image, chart, definitions, SBOM, checksums
	@$(BIN)/python -m release

.PHONY: audit
audit: setup ## Ask the advisory database about every dependency that is shipped
	@$(BIN)/python -m release.audit

# An environment of its own: what mutmut needs must not change the one that everything else runs in.
$(VENV)-mutate/ready: requirements-dev.lock requirements-mutate.lock
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-mutate.lock
	@touch $@

.PHONY: mutate
mutate: $(VENV)-mutate/ready ## Mutation testing of decision/: how many wrong gates the tests would let through (about 10 minutes)
	@$(VENV)-mutate/bin/python -m mutmut run --max-children 2
	@$(VENV)-mutate/bin/python -m mutmut results

.PHONY: lock
lock: ## Resolve the dependencies anew
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 pyproject.toml -o requirements.lock
	@UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 --all-extras --group dev pyproject.toml -o requirements-dev.lock
	@UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-annotate --python-version 3.11 --group pyproject.toml:mutate --constraints requirements-dev.lock -o requirements-mutate.lock

.PHONY: clean
clean: ## Remove what builds and tests left here (not the cache of binaries)
	@rm -rf build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
