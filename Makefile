# Two commands: `make reproduce` regenerates every table and figure, `make test` checks everything.
# CONFIG=config/<scale>.yaml chooses another scale than the laptop's; ARGS=... is handed to Snakemake.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/.ready
CONFIG ?= config/config.yaml
REPORT ?= report.html
LAUNCH := python workflow/launch.py
CODE := shared papers tests workflow conftest.py
SMK := Snakefile $(wildcard workflow/*.smk papers/*/Snakefile papers/*/*.smk papers/*/rules/*.smk)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Each job gets exactly the threads of its rule; whatever runs outside a job gets one.
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup reproduce report test bench lock clean

help:
	@sed -n 's/^## //p' Makefile

## setup       install the pinned environment into .venv (done by the others when needed)
setup: $(READY)

# The stamp is written last: an installation that was interrupted is made again from the start.
$(READY): envs/requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=<path>")'
	@echo "Installing the pinned environment into $(VENV) (once, a few minutes) ..."
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install -qq -r envs/requirements.lock
	@$(VENV)/bin/python -m pip install -qq --no-build-isolation --no-deps -e .
	@touch $@

## reproduce   regenerate every table and figure, then write report.html; continues where it was stopped
reproduce: $(READY)
	$(LAUNCH) --configfile $(CONFIG) $(ARGS)
	$(LAUNCH) --configfile $(CONFIG) --report $(REPORT)

## report      write report.html from what has been made
report: $(READY)
	$(LAUNCH) --configfile $(CONFIG) --report $(REPORT)

## test        style, workflow checks, unit and parity tests, dry runs of every config, and the smoke run with its report
test: $(READY)
	ruff check $(CODE)
	snakefmt --check $(SMK)
	snakemake --lint
	@mkdir -p logs
	python -m pytest -q -n auto --dist loadfile --durations=10 | tee logs/pytest.log
	$(LAUNCH) --configfile config/smoke.yaml --quiet rules progress
	$(LAUNCH) --configfile config/smoke.yaml --quiet all --report runs/smoke/report.html
	@tail -n 1 logs/pytest.log

## bench       measure the engine against the one-at-a-time path on the same cases
bench: $(READY)
	python -m tests.bench $(ARGS)

## lock        resolve envs/requirements.in anew into envs/requirements.lock
lock:
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip install -qq -r envs/requirements.in
	@{ sed -n '/^#/p' envs/requirements.lock; \
	   $(VENV)-lock/bin/python -m pip freeze --all | grep -v '^pip==' | sed 's/+cpu$$//'; } > envs/requirements.lock.new
	@mv envs/requirements.lock.new envs/requirements.lock
	@rm -rf $(VENV)-lock

## clean       remove everything that the workflow made, except the figures and the downloads
clean:
	rm -rf results runs logs benchmarks .snakemake report.html report.zip
