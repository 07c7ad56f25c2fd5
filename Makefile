# Everything here works in a fresh clone; `make help` lists the targets.
PYTHON ?= python3

PY := .venv/bin/python
INSTALLED := .venv/.installed
BROWSERS := tests/browsers/node_modules/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo lint test smoke parity bench clean
# Two targets that both write the page or the environment must not run at once.
.NOTPARALLEL:

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(INSTALLED) ## make .venv with the pinned packages, and build the page
	@$(PY) hatch_build.py

demo: setup ## open the page on the embedded data (make demo ARGS="--no-browser")
	@.venv/bin/tracks demo $(ARGS)

lint: setup ## check style and types of Python and TypeScript
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy hatch_build.py tests/smoke_demo.py
	@$(PY) hatch_build.py npm run --silent check

test: lint ## lint, then run all tests (make test ARGS="-k genome")
	@$(MAKE) --silent $(BROWSERS) || echo "igv.js and JBrowse could not be installed; what needs them is skipped" >&2
	.venv/bin/pytest $(ARGS)

smoke: setup ## start the demo, wait for a predicted tile, stop it
	@$(PY) tests/smoke_demo.py

parity: .venv-parity/.installed ## compare with real Keras, in an environment of its own (3.5 GB)
	.venv-parity/bin/python -m pytest tests/parity $(ARGS)

# Without tf-keras, the rest is measured all the same.
bench: setup ## measure all that has a bar, and write benchmarks/RESULTS.md (20 minutes of a quiet machine)
	@$(MAKE) --silent .venv-parity/.installed || echo "tf-keras could not be installed; it is left out" >&2
	@$(PY) benchmarks/results.py $(ARGS)

clean: ## remove what was built, the environment too
	rm -rf .venv .venv-parity server/static viewer/node_modules tests/browsers/node_modules dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis test-results
	find tracks model server tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so that an interrupted install is done again.
$(INSTALLED): pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "error: there is no '$(PYTHON)'; name a Python 3.11 or newer: make setup PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "error: Python 3.11 or newer is needed and $(PYTHON) is %d.%d; name another: make setup PYTHON=python3.12" % sys.version_info[:2])'
	@test -x $(PY) || "$(PYTHON)" -m venv --clear .venv
	@echo "installing the pinned packages into .venv (minutes, the first time)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# Genome browsers that are not ours, which the tests have read our files.
$(BROWSERS): tests/browsers/package.json tests/browsers/package-lock.json tests/browsers/.npmrc
	@echo "installing igv.js and JBrowse into tests/browsers, for the tests (340 MB)"
	@$(PY) hatch_build.py npm --prefix ../tests/browsers ci --silent
	@touch $@

# TensorFlow wants an older h5py than the one that is pinned.
.venv-parity/.installed: pyproject.toml constraints.txt
	@echo "installing TensorFlow and the pinned packages into .venv-parity (minutes, 3.5 GB)"
	"$(PYTHON)" -m venv --clear .venv-parity
	sed '/^h5py==/d' constraints.txt > .venv-parity/constraints.txt
	.venv-parity/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-parity/constraints.txt -e '.[parity]'
	@touch $@
