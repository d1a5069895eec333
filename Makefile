# `make run` and `make test` need Python 3.11 or later and make; all else comes from PyPI into .venv.

PYTHON ?= python3
VENV   := .venv
PEERS  := .venv-bench
PAGES  := .venv-browser
MINING := .venv-mining
SITE   := .venv-docs
BIN    := $(VENV)/bin
PY     := $(BIN)/python
JOBS   ?= 2
PIP    := $(PY) -m pip install -qq --disable-pip-version-check --no-compile
JOB    := run polardb --replicas 2 --crash-at 40 --restart-after 10 --seed 1
# Of the tests at the top, those that are over in a second.
TOP    := $(filter-out tests/test_cli.py tests/test_new.py tests/test_readme.py,$(wildcard tests/test_*.py))
# What takes longest is named first, and begun first.
BY_FILE := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
SMOKE  := tests/smoke/wheel.py tests/smoke/notebook.py notebooks/1*.ipynb notebooks/0*.ipynb
NBVAL  := --nbval -p no:cacheprovider

# The kernels of the notebooks: one hash order, pictures inline.
NOTEBOOK_ENV := PYTHONHASHSEED=0 JUPYTER_PLATFORM_DIRS=1 MPLBACKEND=module://matplotlib_inline.backend_inline

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run lab test quick lint types unit coverage notebooks-test smoke notebooks format bench bench-peers browser mining docs sweep clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## */  make \1	/' | expand -t 24

run: $(VENV)/.run  ## the main job: the PolarDB flow, its controller killed at 40 s and back at 50 s
	$(BIN)/wfsim $(JOB)

lab: $(VENV)/.lab  ## JupyterLab with the notebooks
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

test: lint types unit smoke  ## everything, in order of speed

quick: lint  ## what to run while you work: style, layers, and the tests of model, files and engine
	$(PY) -m pytest --quiet --numprocesses $(JOBS) tests/model tests/files tests/engine $(TOP)

lint: $(VENV)/.test  ## style, format, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.test  ## mypy, strict
	$(BIN)/mypy

unit: $(VENV)/.test  ## tests and doctests, on JOBS cores (2)
	$(PY) -m pytest --quiet --numprocesses $(JOBS) --dist worksteal

coverage: $(VENV)/.test  ## which branches of model and engine no test takes; 99 % are asked for
	$(PY) -m pytest --quiet --numprocesses $(JOBS) --cov wfsim.model --cov wfsim.engine --cov-branch \
	  --cov-report term-missing:skip-covered --cov-fail-under 99

notebooks-test: $(VENV)/.test  ## every notebook again, each output compared
	$(NOTEBOOK_ENV) $(PY) -m pytest --quiet $(BY_FILE) $(NBVAL) notebooks/1*.ipynb notebooks/0*.ipynb

smoke: $(VENV)/.test  ## notebooks-test; a changed notebook is red; the wheel runs the main job in a fresh environment
	$(NOTEBOOK_ENV) $(PY) -m pytest --quiet $(BY_FILE) $(NBVAL) $(SMOKE)

notebooks: $(VENV)/.test  ## run the notebooks and save what they show as the new reference
	$(PY) notebooks/history.py
	$(NOTEBOOK_ENV) $(PY) -m wfsim.testing.notebooks notebooks/*.ipynb
	$(PY) notebooks/picture.py

format: $(VENV)/.test  ## what ruff can mend by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test  ## calls (a gate) and seconds (for show); OTHER=../before compares with that checkout
	$(PY) -m pytest --quiet --capture=no tests/bench

bench-peers: $(PEERS)/.bench  ## ratios to other simulators and workflow engines, in an environment of their own
	$(PEERS)/bin/python -m tests.bench.peers.queueing
	$(PEERS)/bin/python -m tests.bench.peers.waiting

browser: $(PAGES)/.browser  ## the Debugger in JupyterLab, in headless Chromium if there is one; pictures in out/browser
	$(PAGES)/bin/python tests/smoke/browser.py

mining: $(MINING)/.mining  ## PM4Py reads XES and OCEL, declared flows fit the traces, and it counts as many attempts (LOGS=folder: there, too)
	$(MINING)/bin/python tests/smoke/mining.py
	$(MINING)/bin/python tests/smoke/attempts.py $(LOGS)

docs: $(SITE)/.docs  ## the site, out/docs/index.html: any warning or broken link is an error
	rm -rf out/docs
	$(SITE)/bin/sphinx-build --quiet --fail-on-warning --keep-going -b html -c docs . out/docs
	$(SITE)/bin/python docs/links.py out/docs

sweep: $(VENV)/.test  ## the tests in full size: WFSIM_FULL=1 means every crash point, every fault, many seeds
	WFSIM_FULL=1 $(PY) -m pytest --quiet

clean:  ## all that was made
	rm -rf $(VENV) $(PEERS) $(PAGES) $(MINING) $(SITE) out dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "wfsim needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(PEERS)/.bench: pyproject.toml
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check --editable '.[bench]'
	@touch $@

$(PAGES)/.browser: pyproject.toml
	$(PYTHON) -m venv $(PAGES)
	$(PAGES)/bin/python -m pip install -qq --disable-pip-version-check --editable '.[lab,browser]'
	@touch $@

# PM4Py is under the AGPL: a check, and never a dependency.
$(MINING)/.mining: pyproject.toml
	$(PYTHON) -m venv $(MINING)
	$(MINING)/bin/python -m pip install -qq --disable-pip-version-check --editable . pm4py
	@touch $@

$(SITE)/.docs: pyproject.toml
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install -qq --disable-pip-version-check --editable '.[docs]'
	@touch $@

$(VENV)/.run: pyproject.toml | $(PY)
	$(PIP) --editable .
	@touch $@

$(VENV)/.test: pyproject.toml | $(PY)
	$(PIP) --editable '.[test]'
	@touch $(VENV)/.run $@

$(VENV)/.lab: pyproject.toml | $(PY)
	$(PIP) --editable '.[lab]'
	@touch $(VENV)/.run $@
