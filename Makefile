# Every target makes the machine ready first; with nothing missing that takes well under two seconds.
#
#   make run ARGS="--for 60"     make test ARGS="-k gate"     make lab     make lock ARGS=--upgrade

SHELL := /bin/bash
.PHONY: setup run test check lab lock clean

setup: ## .venv/ with the locked dependencies and trimtab
	@config/setup.sh run

run: setup ## the daemon on its embedded default: a private Redis and a simulated cluster
	@exec .venv/bin/trimtab run --config config/demo.toml $(ARGS)

test: ## the whole test suite, the lab of real hosts included where this machine can hold it
	@config/setup.sh lab
	@exec .venv/bin/pytest $(ARGS)

check: setup ## format, lint, strict types, import direction
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy --strict
	@.venv/bin/pytest -q tests/test_architecture.py

lab: ## three real libvirt hosts, nine guests on one of them, spread by live migration
	@config/setup.sh lab
	@exec .venv/bin/python -m tests.lab.demo $(ARGS)

lock: ## the lock files anew from pyproject.toml
	@config/lock.sh $(ARGS)

clean: ## everything that can be made again
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
