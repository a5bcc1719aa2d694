# make demo, make test: each sets up .venv first, with its own Python packages and ROS 2 wheels, whatever is active in this shell.

.DEFAULT_GOAL := help
.PHONY: help demo test lint venv clean
.DELETE_ON_ERROR:
SHELL := /bin/sh
VENV := .venv
RUN := $(VENV)/bin/python

# A sourced ROS, conda or virtual environment, and what the ROS wheels leave behind in their children, stay outside.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV CONDA_PREFIX LD_LIBRARY_PATH _ROS_WHEELS_BOOTSTRAP_COMPLETE
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH ROS_DISTRO ROS_VERSION RMW_IMPLEMENTATION
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV
export PYTHONNOUSERSITE := 1

# The ROS wheels exist for Python 3.11 to 3.13; with 3.10 the demo maps without ROS.
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.13 python3.10 python3)
USABLE := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

# An environment that was made elsewhere (the folder was moved or copied) is made anew.
ifneq ($(shell cat $(VENV)/made-in 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/made-in
endif

help:
	@echo 'make demo    map a generated room live through the ROS 2 nodes; results in out/demo'
	@echo 'make test    run all checks and tests'
	@echo 'make venv    only set up .venv, for: .venv/bin/gcseg map RECORDING -o OUT'
	@echo 'make lint    ruff and mypy'
	@echo 'make clean   remove .venv, out and what was built'
	@echo 'PYTHON=...   which Python (3.10 to 3.13) to set up .venv with'

demo: $(VENV)/ros
	@$(RUN) -m gcseg_ros.nodes.demo

test: $(VENV)/dev
	@$(MAKE) --no-print-directory lint; linted=$$?; $(RUN) -m pytest -n 2 --dist loadscope && exit $$linted

lint: $(VENV)/dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

venv: $(VENV)/ros

$(VENV)/made-in:
	@found=; for python in $(CANDIDATES); do \
	    if $$python -c '$(USABLE)' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo 'No usable Python: expected one of 3.10 to 3.13 with venv and pip (tried $(CANDIDATES)).' >&2; \
	    echo 'Install it (Debian, Ubuntu: apt install python3-venv python3-pip) or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12' >&2; \
	    exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$($$found --version)."; \
	rm -rf $(VENV) && $$found -m venv $(VENV)
	@echo '$(CURDIR)' > $@

$(VENV)/ros: $(VENV)/made-in setup.py pyproject.toml
	@echo 'Installing gcseg_ros and the ROS 2 wheels (a minute or two).'
	@$(RUN) -m pip install -qq --no-compile --disable-pip-version-check -e '.[ros]'
	@touch $@

$(VENV)/dev: $(VENV)/ros
	@echo 'Installing what the tests need.'
	@$(RUN) -m pip install -qq --no-compile --disable-pip-version-check -e '.[dev,ros]'
	@SAM2_BUILD_CUDA=0 $(RUN) -m pip install -qq --no-compile --disable-pip-version-check --no-build-isolation sam2==1.1.0
	@touch $@

clean:
	rm -rf $(VENV) out build install log *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
