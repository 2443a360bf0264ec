# Everything that is done with this project, by name. `make help` lists it.
# What is slow is done once: .cache/stamps tells what has been done, .cache/logs what it said.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
# Python packages come over the network while Swift compiles.
MAKEFLAGS += --jobs=2

STAMPS := .cache/stamps
LOGS := .cache/logs
PYTHON := .venv/bin/python
PYTHON_READY := .venv/.ready
REQUIREMENTS := Sources/trainer/requirements.txt
SWIFT_FLAGS := --explicit-target-dependency-import-check error
SYSTEM_PACKAGES := build-essential ca-certificates curl git jq chromium libcurl4-openssl-dev libjs-dygraphs libsimdjson-dev libsqlite3-dev libuv1-dev \
	catatonit crun munge nginx-light node-llhttp openssl pkg-config podman python3 python3-venv runc slurm-wlm wrk \
	mariadb-server slurm-wlm-jwt-plugin slurmdbd slurmrestd

# $(call step,NAME,WHAT IT DOES,COMMAND): runs a command quietly; its output is shown where it fails.
define step
@mkdir -p $(LOGS) $(STAMPS); started=$$SECONDS; echo "… $(2)"; \
if { $(3); } >$(LOGS)/$(1).log 2>&1; then echo "✓ $(2) ($$((SECONDS - started)) s)"; \
else echo "✗ $(2); the whole output is in $(LOGS)/$(1).log"; tail -n 60 $(LOGS)/$(1).log; exit 1; fi
endef

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: build $(PYTHON_READY) ## Train and evaluate a small model, from spec to table
	@deploy/demo.sh

.PHONY: demo-slurm
demo-slurm: build $(PYTHON_READY) ## The same on Slurm: on the site's cluster, else on one that is started here
	@if sinfo --noheader >/dev/null 2>&1; then deploy/demo.sh --slurm; else $(PYTHON) -B Tests/harness/slurm.py deploy/demo.sh --slurm; fi

.PHONY: build
build: $(STAMPS)/system ## Build the programs into .build/release
	$(call step,build,building the programs (release),swift build -c release --static-swift-stdlib $(SWIFT_FLAGS))

.PHONY: test
test: build-tests $(PYTHON_READY) ## Run every test; the last line counts them
	@$(PYTHON) Tests/run

.PHONY: build-tests
build-tests: $(STAMPS)/system
	$(call step,build-tests,building programs and tests (debug),swift build --build-tests $(SWIFT_FLAGS))

.PHONY: bench
bench: build $(PYTHON_READY) ## Measure against a peer or the machine's limit; prints a table
	@$(PYTHON) -B Tests/Benchmarks/bench.py

.PHONY: deb
deb: $(if $(PROGRAMS),,build) ## Build a Debian package into .build/deb (PROGRAMS=folder takes programs that are built)
	$(call step,deb,making the Debian package,deploy/debian/build.sh $(or $(PROGRAMS),.build/release) .build/deb)
	@ls .build/deb/*.deb

.PHONY: soak
soak: build-tests ## Let faults happen for 500 rounds (about three quarters of an hour)
	@python3 -B Tests/FaultTests/run.py --rounds $(or $(ROUNDS),500)

.PHONY: soak-slurm
soak-slurm: build-tests ## The same on a Slurm cluster of this machine, for 100 rounds
	@python3 -B Tests/FaultTests/slurm_run.py --rounds $(or $(ROUNDS),100)

.PHONY: format
format: ## Format the Swift sources
	@swift format format --in-place --recursive --parallel Sources Tests Package.swift

.PHONY: lint
lint: ## Check style without building
	@swift format lint --strict --recursive --parallel Sources Tests Package.swift
	@python3 -B Tests/TidyTests/tidy.py

.PHONY: clean
clean: ## Remove what was built and what the demo left (.venv stays)
	@rm -rf .build .cache

# The packages of Debian that the build and the tests need. Only what is missing is installed.
$(STAMPS)/system: Makefile
	@mkdir -p $(STAMPS) $(LOGS)
	@command -v swift >/dev/null || { echo "Swift 6.3 is needed: put its 'swift' into PATH (swift.org has it for Debian 12)"; exit 1; }
	@missing=(); for package in $(SYSTEM_PACKAGES); do \
		dpkg-query --show --showformat='$${db:Status-Status}' "$$package" 2>/dev/null | grep -qx installed || missing+=("$$package"); done; \
	if (( $${#missing[@]} )); then \
		if (( EUID != 0 )); then echo "packages are missing; run: sudo apt-get install $${missing[*]}"; exit 1; fi; \
		echo "… installing $${missing[*]}"; export DEBIAN_FRONTEND=noninteractive; \
		{ apt-get update && apt-get install --yes --no-install-recommends "$${missing[@]}"; } >$(LOGS)/system.log 2>&1 \
			|| { tail -n 30 $(LOGS)/system.log; exit 1; }; fi
	@touch $@

# The Python packages. PyTorch comes first, in the build for CPUs where there is one ("+cpu"), else in the common build.
$(PYTHON_READY): $(REQUIREMENTS) Tests/requirements.txt | $(STAMPS)/system
	$(call step,python,installing the Python packages,\
		python3 -m venv .venv && export PIP_DISABLE_PIP_VERSION_CHECK=1 && \
		torch=$$(grep --max-count=1 '^torch==' $(REQUIREMENTS)) && \
		{ .venv/bin/pip install "$$torch" || .venv/bin/pip install "$${torch%+cpu}"; } && \
		grep --invert-match '^torch==' $(REQUIREMENTS) | .venv/bin/pip install --requirement /dev/stdin --requirement Tests/requirements.txt)
	@touch $@
