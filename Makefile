# make tour    the whole pipeline, from text to a served answer
# make test    everything that must hold
# make check   what to run before a commit: lint, format, types, the fast tests
# Each makes its own .venv if there is none. Paths are relative, so a space in the folder's name does no harm.

PYTHON ?= python3
PY := .venv/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
PYTEST := OPENBLAS_NUM_THREADS=1 $(PY) -m pytest  # the tests are small: a second thread only costs
PLOT ?= tour/plots

.PHONY: tour test check lint lessons notebooks mutants torch interop service bench clean

tour: .venv/user
	$(PY) -m tinyllm tour --plot "$(PLOT)" $(if $(TEXT),--text "$(TEXT)")

test: .venv/dev
	$(PYTEST)

check: lint
	$(PYTEST)

lint: .venv/dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy

lessons: .venv/dev
	$(PYTEST) tests/lessons -m "not interop"

notebooks: .venv/dev
	$(PY) -m tinyllm.lessons.notebooks
	$(PY) -m tinyllm.lessons.errata
	$(PY) -m tinyllm.lessons.mistakes

mutants: .venv/dev
	$(PYTEST) -m mutants -s

torch: .venv/torch
	$(PYTEST) -m torch

interop: .venv/torch
	$(PIP) keras==3.15.1 tokenizers transformers
	$(PYTEST) -m interop

service: .venv/service
	command -v wrk chromium >/dev/null || (apt-get update && apt-get install -y wrk chromium fonts-noto-cjk) || echo "no wrk or chromium: those tests are left out"
	$(PYTEST) tests/serving -m service -s

bench: .venv/dev
	for script in benchmarks/*.py; do $(PY) "$$script" || exit 1; done

clean:
	rm -rf .venv build tour *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/user: setup.cfg pyproject.toml | .venv/bin/python
	$(PIP) -e ".[h5,serve,plot,bench]"
	touch $@

.venv/dev: setup.cfg pyproject.toml | .venv/bin/python
	$(PIP) -e ".[dev]"
	touch $@

.venv/torch: .venv/dev
	$(PIP) torch==2.13.0 expecttest autograd
	touch $@

.venv/service: .venv/dev
	$(PIP) schemathesis playwright axe-playwright-python
	touch $@
