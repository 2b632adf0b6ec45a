# Everything a user types; `make help` lists it. Needs Python 3.11 or newer, and make.
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Tests start hundreds of Python processes: compiling their modules once takes a third off the start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo run test test-slow test-all test-others bench check audit infra-check clean

# The first interpreter that is new enough, that of .venv before others: what is there stays.
# `make PYTHON=… setup` chooses another, and makes .venv again for it.
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
runs = $(shell for p in $(1); do $$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && echo $$p && break; done)
PYTHON ?= $(call runs,.venv/bin/python python3 python3.14 python3.13 python3.12 python3.11)

# Install what the arguments name; prints nothing if all of it is current.
define install
	$(if $(PYTHON),,$(error Metric Relay needs Python 3.11 or newer with venv and pip \
		(Debian and Ubuntu: apt install python3 python3-venv); none was found on PATH))
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "$(PYTHON) is not Python 3.11 or newer with venv and pip"; exit 1; }
	@$(PYTHON) -m local.setup $(1)
endef
install-to-run = $(call install,--azurite requirements-local.txt)
install-to-test = $(call install,--azurite requirements-dev.txt)

help: ## List these commands
	@sed -n 's/^\([a-z0-9.-]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

setup: ## Install what the demo and the app need, and the command .venv/bin/metric-relay
	$(install-to-run)
	@echo "All is installed. Next: make demo, make run or make test."

demo: ## Run the whole thing on this machine and show what lands in Azure Monitor (KEEP=1: go on)
	$(install-to-run)
	@.venv/bin/python -m local.demo $(if $(filter-out 0,$(KEEP)),--keep)

run: ## Run the app and stand-ins for Azure until Ctrl-C (PORT=8089: explorer; DATA=folder: keep data)
	$(install-to-run)
	@.venv/bin/python -m local.run $(if $(PORT),--port '$(PORT)') $(if $(DATA),--data '$(DATA)')

# Several at once: tests mostly wait. Each process has an Azurite and an emulator of its own.
PYTEST := -m pytest -n auto --maxprocesses 4 --dist worksteal

test: ## Run the fast tests, in about three minutes
	$(install-to-test)
	.venv/bin/python $(PYTEST) -m "not slow"

# Hypothesis marks the tests of properties: many examples of each.
test-slow: ## Run the slow tests, many examples of each property, and the app's tests on other Pythons
	$(install-to-test)
	.venv/bin/python $(PYTEST) -m "slow or hypothesis" --hypothesis-profile thorough
	@$(MAKE) --no-print-directory test-others

test-all: test test-slow ## Run all tests

# What is deployed is tested on every Python that is found, with few examples of each property.
DEPLOYED := tests/unit tests/integration
MINORS := 11 12 13 14
python = $(call runs,python3.$(1) $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/3.$(1).*/bin/python)
mine = $(shell .venv/bin/python -c 'import sys; print(sys.version_info.minor)')

test-others: $(MINORS:%=test-3.%)

test-3.%:
	$(if $(filter $*,$(mine)),,$(call test-other,$*,$(call python,$*)))

define test-other
	@$(if $(2),$(2) -m local.setup --azurite --venv .venv-3.$(1) requirements-dev.txt,echo "Python 3.$(1) was not found: nothing is tested with it.")
	$(if $(2),.venv-3.$(1)/bin/python $(PYTEST) -p no:cacheprovider -m "not slow" $(DEPLOYED))
endef

bench: ## Measure beside what people use today, with goals; ALL=1: ten minutes of load too. Takes minutes
	$(install-to-run)
	@.venv/bin/python -m bench $(if $(filter-out 0,$(ALL)),--all)

check: ## Lint, formatting and types
	$(call install,requirements-dev.txt)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

audit: ## Look for known vulnerabilities in what is deployed and what tests use; asks PyPI
	$(call install,--venv .venv-audit requirements-audit.txt)
	.venv-audit/bin/pip-audit --strict -r requirements-dev.txt

infra-check: ## Look for weaknesses in the templates, with checkov
	$(call install,requirements-dev.txt)
	$(call install,--venv .venv-checkov requirements-checkov.txt)
	@.venv/bin/python -m tests.infra.arm .local/arm
	.venv-checkov/bin/checkov --config-file infra/.checkov.yaml --directory .local/arm

clean: ## Remove what was installed
	rm -rf .venv .venv-3.* .venv-audit .venv-checkov local/node_modules local/.nodejs
