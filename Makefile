# Everything here works on a fresh machine with Python 3.11+ and make. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo serve test check bench soak calibrate docs requirements clean
.DEFAULT_GOAL := help

help:  ## List the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# The one set-up step, shared by all targets: done once, and again only when the pinned requirements change.
$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Touchstone needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)  ## Run the main job on real models on this machine (under 3 minutes).
	@$(BIN)/python -m examples.support_model.demo

serve: $(STAMP)  ## Start the demo's models and the router, and keep serving until Ctrl-C.
	@$(BIN)/python -m examples.support_model.demo --serve

test: $(STAMP)  ## Run the tests, two files at a time: half of them wait for processes.
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(STAMP)  ## Linters, types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## Measure CPU and latency beside nginx, in one run.
	@$(BIN)/python -m benchmarks.proxy

soak: $(STAMP)  ## Five minutes of mixed load: memory, descriptors, nothing lost.
	@$(BIN)/python -m benchmarks.soak --seconds 300

docs: $(STAMP)  ## Regenerate the generated pages.
	$(BIN)/python -m experiments.config.reference > docs/configuration.md
	$(BIN)/python docs/pictures.py

calibrate: $(STAMP)  ## Run the whole calibration study (about 4 minutes on 2 cores) and write docs/calibration.md.
	$(BIN)/python -m analysis.calibrate

requirements:  ## Compile the pinned requirements anew (needs uv).
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --constraint requirements/dev.txt requirements/postgres.in -o requirements/postgres.txt

clean:  ## Remove the virtual environment and everything that was generated.
	rm -rf $(VENV) demo-run dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
