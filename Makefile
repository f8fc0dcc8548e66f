# make        what there is
# make demo   the whole graph on a virtual subject, from a bare machine
# make test   the same set-up, then all tests
#
# PYTHON=…    the Python (3.11 to 3.13) that .venv is made with; else the first good one that runs
# ARGS=…      more arguments for pytest or the demo

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format lock clean distclean
export PYTHON

setup:
	@sh tools/setup.sh

demo: setup
	@.venv/bin/gait-twin up demo --out build/demo $(ARGS)

test: setup
	@.venv/bin/python -m pytest $(ARGS)

lint: setup
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/python -m mypy

format: setup
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

lock: setup
	@sh tools/lock.sh $(if $(UPGRADE),--upgrade)

clean:
	rm -rf build install log .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find gait_twin test tools launch benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean
	rm -rf .venv .setup.lock

help:
	@echo "make demo       set up, then the whole graph on a virtual subject that walks 60 s; results in build/demo"
	@echo "make test       set up, then all tests                    (ARGS='-k twin -n 2' goes to pytest)"
	@echo "make setup      .venv, ROS 2, the locked packages, the build; does only what changed"
	@echo "make lint       ruff and mypy                             (make format: let ruff put it right)"
	@echo "make lock       requirements.in into requirements.lock    (UPGRADE=1: newer versions)"
	@echo "make clean      removes what was built and run; make distclean removes .venv too"
	@echo ""
	@echo "PYTHON=python3.12 make …   chooses the Python (3.11 to 3.13). A ROS 2 Jazzy or Kilted that is sourced is"
	@echo "used; otherwise ROS 2 comes as wheels into .venv."
