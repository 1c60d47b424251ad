# Every target is a thin call, so that a machine without make is served by the same lines (README).
PYTHON ?= python3
LOCK ?= tests/constraints.txt
VENV ?= .venv
RUN = $(VENV)/bin/python -m

.PHONY: help lab test test-studio notebooks benchmarks clean

help:             ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 14

lab: $(VENV)/installed  ## open JupyterLab on the chapters, in an offline AWS account
	$(RUN) tests.local_aws lab

test: $(VENV)/installed  ## run every check and every notebook
	$(RUN) pytest

test-studio:      ## run the notebooks with the packages of SageMaker Studio's image
	$(MAKE) VENV=.venv-studio LOCK=tests/constraints-studio.txt .venv-studio/installed
	.venv-studio/bin/python -m pytest --nbval-lax chapter*

notebooks: $(VENV)/installed  ## run every notebook and save its outputs
	$(RUN) tests.local_aws notebooks

benchmarks: $(VENV)/installed  ## measure the offline AWS against stock moto and the bare programs
	$(RUN) tests.benchmarks

clean:            ## remove the environments and caches
	rm -rf .venv .venv-studio .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip compiles what it installs on one core; -j 0 does it on all. Files for other versions of Python
# among the packages can't be compiled, and need not be.
$(VENV)/installed: requirements.txt tests/requirements.txt $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --no-compile -r tests/requirements.txt -c $(LOCK)
	$(RUN) compileall -qq -j 0 $(VENV)/lib || true
	touch $@
