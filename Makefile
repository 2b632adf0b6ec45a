# Everything a user types; `make help` lists it. Needs Python 3.11 or newer, and make.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-3.13 run bench check audit infra-check clean

# The first interpreter that is new enough; `make PYTHON=… setup` chooses another.
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$p && break; done)
PYTHON_3_13 = $(shell for p in python3.13 $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.13*/bin/python; do \
	$$p -c '' >/dev/null 2>&1 && echo $$p && break; done)

PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --require-virtualenv

help: ## List these commands
	@sed -n 's/^\([a-z0-9.-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

setup: .venv/installed local/node_modules/installed ## Make .venv and local/node_modules; does nothing when they are current
	@.venv/bin/python -m local.node --check || { rm -f local/node_modules/installed; $(MAKE) --no-print-directory setup; }

.venv/installed: requirements.txt requirements-tools.txt requirements-dev.txt
	$(if $(PYTHON),,$(error Metric Relay needs Python 3.11 or newer with venv and pip \
		(Debian and Ubuntu: apt install python3 python3-venv); none was found on PATH))
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "$(PYTHON) is no Python 3.11 or newer with venv and pip"; exit 1; }
	@echo "Installing Python packages into .venv …"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python $(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

local/node_modules/installed: local/package-lock.json | .venv/installed
	@.venv/bin/python -m local.node
	@touch $@

demo: setup ## Run the whole thing on this machine and show what lands in Azure Monitor (KEEP=1: go on)
	@.venv/bin/python -m local.demo $(if $(filter-out 0,$(KEEP)),--keep)

run: setup ## Run the app and the stand-ins for Azure until Ctrl-C
	@.venv/bin/python -m local.run

# Several at once: tests mostly wait. Each process has an Azurite and an emulator of its own.
PYTEST := -m pytest -n auto --maxprocesses 4 --dist worksteal

# What never runs in Azure is not tested on a second Python.
NOT_DEPLOYED := commands docs infra monitor official test_bench.py integration/test_demo.py

test: setup ## Run all tests; those of the app on Python 3.13 too, where it is found
	.venv/bin/python $(PYTEST)
	@$(MAKE) --no-print-directory test-3.13

test-3.13: setup
ifneq ($(PYTHON_3_13),)
	@$(MAKE) --no-print-directory .venv-3.13/installed
	.venv-3.13/bin/python $(PYTEST) -p no:cacheprovider -m "not slow" $(NOT_DEPLOYED:%=--ignore=tests/%)
else
	@echo "python3.13 was not found: the tests ran on $$(.venv/bin/python -V) alone."
endif

.venv-3.13/installed: requirements.txt requirements-tools.txt requirements-dev.txt
	@$(PYTHON_3_13) -m venv .venv-3.13
	@.venv-3.13/bin/python $(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

bench: setup ## Measure beside what people use today, with goals; ALL=1: ten minutes of load too. Takes minutes
	@.venv/bin/python -m bench $(if $(filter-out 0,$(ALL)),--all)

check: .venv/installed ## Lint, formatting and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

audit: setup ## Look for known vulnerabilities in what is deployed and what tests use; asks PyPI
	@test -x .venv-audit/bin/pip-audit || { $(PYTHON) -m venv .venv-audit \
		&& .venv-audit/bin/python $(PIP_INSTALL) -r requirements-audit.txt; }
	.venv-audit/bin/pip-audit --strict -r requirements-dev.txt

infra-check: setup ## Look for weaknesses in the templates, with checkov
	@test -x .venv-checkov/bin/checkov || { echo "Installing checkov into .venv-checkov …"; \
		$(PYTHON) -m venv .venv-checkov \
		&& .venv-checkov/bin/python $(PIP_INSTALL) -r requirements-checkov.txt; }
	@PYTHONPATH=.:tests .venv/bin/python -m infra.arm .local/arm
	.venv-checkov/bin/checkov --config-file infra/.checkov.yaml --directory .local/arm

clean: ## Remove what setup made
	rm -rf .venv .venv-3.13 .venv-audit .venv-checkov local/node_modules local/.nodejs
