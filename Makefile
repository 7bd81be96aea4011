# Each target first creates what it needs: a virtual environment in $(VENV), with $(PYTHON), and the package in it.
#
#   make test PYTHON=python3.13 VENV=.venv-3.13      use another interpreter

PYTHON ?= python3
VENV ?= .venv

# The versions to install; empty (LOCK=) for the newest that setup.cfg allows.
LOCK ?= locks/dev.txt

# The number of processes for the tests.  The functional tests also wait, so that one more than two cores pays.
JOBS ?= 3

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PROTOS := $(shell find protos -name '*.proto')
DESCRIPTORS := twisted_registry/protocol/_descriptors.binpb
PACKAGING := setup.cfg setup.py pyproject.toml
CHECKED := twisted_registry tests tools twisted setup.py .ci benchmarks release $(wildcard examples)

# Files that record when a step was done.
CREATED := $(VENV)/.created
INSTALLED := $(VENV)/.installed
INSTALLED_DEV := $(VENV)/.installed-dev

STUBS := build/stubs/.made
REPORT := build/test-report.xml

.DEFAULT_GOAL := help
.PHONY: help faces run test test-fast test-functional test-browser test-robustness test-times test-with-report coverage robustness benchmark lint format reference docs build sbom lock release tag clean FORCE
.DELETE_ON_ERROR:

help:  ## List the targets
	@sed -n 's/^\([a-z-]*\):.*##/make \1:/p' Makefile | awk -F: '{ printf "%-24s%s\n", $$1, $$2 }'

run: $(INSTALLED)  ## Run the daemon in the foreground; its settings are COGMENT_MODEL_REGISTRY_*
	@exec $(BIN)/twistd --nodaemon --pidfile= model-registry

# The fast tests sync many small files: in memory that takes no time.
FAST_DIRECTORY := $(if $(wildcard /dev/shm/.),/dev/shm,build)/trial-fast-$(notdir $(CURDIR))$(notdir $(VENV))
FAST := tests.unit tests.contract tests.edge
TRIAL := $(BIN)/trial --jobs=$(JOBS)

# The functional tests also run if a fast one failed, to show all that fails at once.
test: $(INSTALLED_DEV)  ## Run the tests
	@status=0; $(MAKE) --no-print-directory test-fast || status=$$?; \
	$(MAKE) --no-print-directory test-functional || status=$$?; \
	$(MAKE) --no-print-directory test-browser || status=$$?; \
	exit $$status

test-fast: $(INSTALLED_DEV)  ## Run the tests that start no daemon
	@mkdir -p build
	$(TRIAL) --temp-directory=$(FAST_DIRECTORY) $(FAST)
	@rm -rf $(FAST_DIRECTORY) $(FAST_DIRECTORY).lock

# The functional tests of what the interpreter takes part in: signals, forks, threads at the end of a process, pipes and
# terminals, what it prints, the installed wheel.
#
#   make test FUNCTIONAL='$(INTERPRETER)'      run the fast tests, and these
INTERPRETER := $(addprefix tests.functional.test_, cli_interruptions cli_streams cli_terminal client_processes daemon \
	everything_at_once logs plugins start_failures stop tutorial twistd_log twistd_options)

FUNCTIONAL ?= tests.functional

test-functional: $(INSTALLED_DEV)  ## Run the tests that start daemons and commands
	@mkdir -p build
	$(TRIAL) --temp-directory=build/trial$(notdir $(VENV)) $(FUNCTIONAL)

# Apart from the others: playwright's event loop stays in the thread of the tests.  A Chromium a worker keeps two cores busy.
#
#   make test BROWSER=      run no browser
BROWSER ?= tests.browser

test-browser: $(INSTALLED_DEV)  ## Run the tests of the page in Chromium; their screenshots are in build/screenshots/
	@rm -rf build/screenshots && mkdir -p build/screenshots
	$(if $(BROWSER),$(BIN)/trial --jobs=2 --temp-directory=build/trial-browser$(notdir $(VENV)) $(BROWSER))

test-robustness: $(INSTALLED_DEV)  ## Run the short forms of 'make robustness' and 'make benchmark'
	@mkdir -p build
	$(TRIAL) --temp-directory=build/trial-robustness$(notdir $(VENV)) tests.robustness

# Example: make test-times TESTS='tests.unit tests.edge'
TESTS ?= $(FAST)

test-times: $(INSTALLED_DEV)  ## Run TESTS, one after the other, and print the slowest
	@$(BIN)/python -m tools.test_times $(TESTS)

# The floor stands in pyproject.toml.  Workers of trial and commands that tests run are measured as well.
coverage: $(INSTALLED_DEV)  ## Run the fast tests, and fail if they cover less of the package than they must
	@rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m twisted.trial --jobs=$(JOBS) --temp-directory=$(FAST_DIRECTORY)-coverage $(FAST)
	@rm -rf $(FAST_DIRECTORY)-coverage $(FAST_DIRECTORY)-coverage.lock
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --skip-covered

# The exit status is trial's.  If it is not 0, the failures are printed as well.
test-with-report: $(INSTALLED_DEV)  ## Run the tests, and write a JUnit report to build/test-report.xml
	@mkdir -p build
	@{ PYTHONUNBUFFERED=1 $(BIN)/trial --reporter=subunit --temp-directory=build/trial$(notdir $(VENV)) $(FAST) tests.functional tests.browser; \
		echo $$? > build/test.status; } | $(BIN)/python -m tests.support.subunit_times > build/test.subunit; \
	status=$$(cat build/test.status); \
	$(BIN)/subunit-1to2 < build/test.subunit > build/test.subunit2; \
	$(BIN)/subunit2junitxml --no-passthrough --output-to=$(REPORT) < build/test.subunit2; \
	test $$status -eq 0 || $(BIN)/subunit2pyunit --no-passthrough < build/test.subunit2; \
	test -s $(REPORT) || { echo "make: $(REPORT) was not written" >&2; exit 1; }; \
	exit $$status

# Example: make robustness ROBUSTNESS='--only kills --kills 100 --seed 7'
ROBUSTNESS ?=

robustness: $(INSTALLED_DEV)  ## Test the promises of the registry for as long as you like; ROBUSTNESS are the options
	@$(BIN)/python -m tests.robustness --json build/robustness.json $(ROBUSTNESS)

# Example: make benchmark BENCHMARK='--only calls --rounds 9'
BENCHMARK ?=

benchmark: $(INSTALLED_DEV)  ## Measure beside the fastest server of the same parts; BENCHMARK are the options
	@$(BIN)/python -m benchmarks --json build/benchmark.json $(BENCHMARK)

lint: $(INSTALLED_DEV) $(STUBS)  ## Check style, types, language and imports
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/python -m tools.language
	$(BIN)/python -m tools.docstrings
	$(BIN)/python -m tools.configuration_page --check
	$(BIN)/python -m tools.metrics_page --check
	$(BIN)/python -m tools.capacity_page --check
	$(BIN)/python -m tools.command_line_page --check
	$(BIN)/lint-imports --no-logo --cache-dir build/import-linter
	$(BIN)/python -m tools.faces --check

faces: $(INSTALLED_DEV)  ## Generate the blocking and Twisted clients from the asyncio one
	$(BIN)/python -m tools.faces

format: $(INSTALLED_DEV)  ## Fix style
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

reference: $(INSTALLED_DEV)  ## Generate the pages on settings, metrics and errors, the tables of commands, and the copies of alerts
	@$(BIN)/python -m tools.configuration_page
	@$(BIN)/python -m tools.metrics_page
	@$(BIN)/python -m tools.capacity_page
	@$(BIN)/python -m tools.command_line_page
	@$(BIN)/python -m tools.errors_page
	@$(BIN)/python -m tools.alert_copies

# From scratch each time, so that no page of a removed module stays.
docs: $(INSTALLED_DEV)  ## Build the reference of the Python API into build/docs/
	@rm -rf build/docs
	@$(BIN)/pydoctor --project-version="$$($(BIN)/python -c 'import twisted_registry as it; print(it.__version__)')"
	@echo build/docs/index.html

build: $(INSTALLED_DEV)  ## Build the wheel and the source distribution into dist/, the same bytes each time
	@$(BIN)/python -m release build

# Made from an environment with the packages of the image and no others.
sbom: build  ## List the packages of the image in dist/sbom.json, in CycloneDX format
	@$(PYTHON) -m venv --clear build/image
	@build/image/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r locks/image.txt
	@build/image/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --no-index --pre \
		--find-links dist twisted-registry
	@build/image/bin/python -m pip --disable-pip-version-check --quiet uninstall --yes setuptools pip 2> /dev/null
	@$(BIN)/cyclonedx-py environment --output-reproducible --of JSON --output-file dist/sbom.json build/image
	@echo dist/sbom.json

lock:  ## Update the locks to the newest versions that setup.cfg and locks/*.in allow
	@mkdir -p build
	@$(PYTHON) -m venv --clear build/lock
	@build/lock/bin/python -m pip --disable-pip-version-check --quiet install uv
	@set -e; compile() { UV_CUSTOM_COMPILE_COMMAND='make lock' build/lock/bin/uv pip compile --quiet --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --upgrade "$$@"; }; \
	compile --extra dev --output-file locks/dev.txt setup.cfg locks/build.in locks/dev.in; \
	compile --constraints locks/dev.txt --output-file locks/build.txt locks/build.in; \
	compile --extra tracing --constraints locks/dev.txt --output-file locks/image.txt setup.cfg
	@ls locks/*.txt

# Example: make release DRY=1
DRY ?=

release: $(INSTALLED_DEV)  ## Commit the next version on a new branch; with DRY=1, only print it
	@$(BIN)/python -m release branch $(if $(DRY),--dry-run)

tag: $(INSTALLED_DEV)  ## Tag the version that is checked out
	@$(BIN)/python -m release tag

clean:  ## Remove everything that was built
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .ruff_cache .hypothesis _trial_temp* $(DESCRIPTORS)
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name dropin.cache -delete

# --- Intermediate steps ---

# Created again when its contents may have changed, so that nothing obsolete stays in it.
$(CREATED): setup.cfg
	@command -v $(PYTHON) > /dev/null \
		|| { echo "make: there is no $(PYTHON): install Python 3.11 or newer, or name one: PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make: $(PYTHON) must be Python 3.11 or newer; name one: make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
		|| { echo "make: $(PYTHON) has no venv (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	@echo "make: creating $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# The installation creates the descriptors, so it runs again if they are missing.
MISSING := $(if $(wildcard $(DESCRIPTORS)),,FORCE)

$(INSTALLED): $(CREATED) $(PACKAGING) $(PROTOS) $(MISSING)
	@echo "make: installing into $(VENV)"
	@$(PIP) install --editable .
	@touch $@

$(INSTALLED_DEV): $(CREATED) $(PACKAGING) $(PROTOS) $(LOCK) $(MISSING)
	@echo "make: installing into $(VENV), with the tools$(if $(LOCK),, and the newest of all)"
ifeq ($(LOCK),)
	@$(PIP) install --upgrade --editable '.[dev]' -r locks/build.in -r locks/dev.in
else
	@$(PIP) install --require-hashes -r $(LOCK)
	@$(PIP) install --no-deps --no-build-isolation --editable .
endif
	@touch $(INSTALLED) $@

# The stubs for type checkers in place of twisted_registry.protocol.messages.
$(STUBS): $(PROTOS) | $(INSTALLED_DEV)
	@mkdir -p build/stubs
	@rm -rf build/stubs/registry_api
	@$(BIN)/python -m grpc_tools.protoc --proto_path=protos --pyi_out=build/stubs $(PROTOS:protos/%=%)
	@mv build/stubs/twisted_registry build/stubs/registry_api
	@touch $@
