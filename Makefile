# `make evidence` and `make test` are the two that a newcomer needs; each installs what it needs into .venv.
VENV ?= .venv
OUT ?= out/evidence
PROFILE ?= quick
PY := $(VENV)/bin/python
BT := $(VENV)/bin/btresearch
WORKERS ?= 2
JUPYTER_FLAGS ?= $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: evidence test test-slow lint bench jupyter paper captures golden schema lock setup clean help

help:
	@echo "make evidence | test | test-slow | lint | bench | jupyter | paper | captures | golden | schema | lock | clean"

setup:
	@VENV=$(VENV) sh setup.sh

evidence: setup
	$(BT) evidence --profile $(PROFILE) --out $(OUT)

test: setup
	$(PY) -m pytest -n $(WORKERS) -m "not slow" tests

test-slow: setup
	$(PY) -m pytest -n $(WORKERS) -m slow tests

lint: setup
	$(VENV)/bin/ruff check btresearch tests notebooks
	$(VENV)/bin/ruff format --check btresearch tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: setup
	$(BT) bench

jupyter: setup
	$(PY) -m ipykernel install --prefix $(VENV) --name btresearch --display-name "btresearch"
	$(VENV)/bin/jupyter lab --notebook-dir notebooks $(JUPYTER_FLAGS)

paper: setup
	$(BT) paper vectors --check
	$(BT) paper evidence --check
	$(BT) paper build

captures: setup
	$(BT) samples --out captures

golden: setup
	$(PY) -m pytest -q tests/detect --update-golden

schema: setup
	$(PY) -m btresearch.flow.schema > docs/schema.md

lock:
	sh lock.sh

clean:
	rm -rf out build dist *.egg-info
