# On a bare Debian 12 (root; Python 3.11, gcc, make and git) each target first installs what it
# needs with apt and pip; what is already there is neither installed nor built again.

.DEFAULT_GOAL := build
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

SYSTEM_PYTHON := $(shell /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	2>/dev/null && echo /usr/bin/python3)
PYTHON ?= $(or $(SYSTEM_PYTHON),python3)
VENV := .venv
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
OCIPY ?= $(CURDIR)/build/ocipy
BENCH_ARGS ?=
PYTEST_ARGS ?=

.PHONY: build demo shell test test-vm test-clusters test-sanitized bench-clusters attacks faults fuzz property soak
.PHONY: lint bench clean distclean locked-build build-tools demo-tools test-tools fuzz-tools

build: ## the launcher build/ocipy, which runs the package in this tree; the shim and init in the tree
	@mkdir -p .make && flock .make/lock $(MAKE) locked-build

demo: build demo-tools ## what a container is, shown
	@OCIPY="$(OCIPY)" demo/demo.sh

shell: build demo-tools ## straight to a shell in a container
	@OCIPY="$(OCIPY)" demo/demo.sh shell

# Each test has containers, cgroups and directories of its own, so they can run side by side.
test: build test-tools ## every test, as root
	@$(VENV)/bin/pytest --numprocesses=2 --dist=loadfile --no-header $(PYTEST_ARGS)

test-vm: build test-tools ## the integration tests and clients' scripts in the cgroup v2 virtual machine, an hour
	@TEST_VM=1 $(VENV)/bin/pytest --numprocesses=1 --quiet tests/vm tests/clients/test_scripts_in_vm.py $(PYTEST_ARGS)

test-clusters: build test-tools ## Kubernetes' CRI and a Docker swarm of three nodes, five minutes
	@TEST_CLUSTERS=1 $(VENV)/bin/pytest --numprocesses=2 --dist=loadfile --quiet tests/clusters $(PYTEST_ARGS)

test-sanitized: build test-tools ## the integration tests with init and shim under sanitizers
	@$(VENV)/bin/python -m tests.sanitized.build build/sanitized >/dev/null
	@RUNTIME=$(CURDIR)/build/sanitized/ocipy $(VENV)/bin/pytest --numprocesses=2 --dist=loadfile \
		--quiet tests/integration $(PYTEST_ARGS)

ATTACK_ITERATIONS ?= 10000
attacks: build test-tools ## what hostile images and containers try, ATTACK_ITERATIONS (10,000) races of each kind
	@rm -f .make/attacks; \
	ATTACK_REPORT=$(CURDIR)/.make/attacks ATTACK_ITERATIONS=$(ATTACK_ITERATIONS) \
		$(VENV)/bin/pytest --numprocesses=2 --dist=load --quiet tests/attacks $(PYTEST_ARGS); \
	status=$$?; echo "attempts:"; sort -k 2 .make/attacks; exit $$status

FUZZ_SECONDS ?= 300
FUZZ ?= init launcher shim calls config state
fuzz: build test-tools fuzz-tools ## init, launcher, shim, its module, config.json, state.json: FUZZ_SECONDS (300) each
	@tests/fuzz/run.sh $(VENV)/bin/python $(FUZZ_SECONDS) $(FUZZ)

PROPERTY_SEED ?= 1
PROPERTY_VALIDATIONS ?= 3500
PROPERTY_RUNS ?= 700
PROPERTY_REFUSALS ?= 300
PROPERTY_HISTORIES ?= 150
property: build test-tools ## generated configurations and histories, by PROPERTY_SEED and sizes, an hour
	@PROPERTY_SEED=$(PROPERTY_SEED) PROPERTY_VALIDATIONS=$(PROPERTY_VALIDATIONS) \
		PROPERTY_RUNS=$(PROPERTY_RUNS) PROPERTY_REFUSALS=$(PROPERTY_REFUSALS) \
		PROPERTY_HISTORIES=$(PROPERTY_HISTORIES) $(VENV)/bin/pytest --quiet tests/property $(PYTEST_ARGS)

SOAK_LIVES ?= 10000
SOAK_PARALLEL ?= 8
SOAK_ALIVE ?= 500
SOAK_STORMS ?= 40
soak: build test-tools ## SOAK_LIVES containers, SOAK_ALIVE at once, ocipy killed all the time; ten minutes
	@$(VENV)/bin/python -m tests.soak.soak --lives $(SOAK_LIVES) --parallel $(SOAK_PARALLEL) \
		--alive $(SOAK_ALIVE) --storms $(SOAK_STORMS)

# FAULTS_PART=2/8 is the second of eight parts; the parts may run at the same time. FAULTS_ARGS="--each 1"
# walks one case of each kind.
FAULTS_PART ?= 1/1
FAULTS_ARGS ?=
faults: build test-tools ## every fault at every step of every command, half an hour; FAULTS_PART=I/N for a part of it
	@$(VENV)/bin/python -m tests.faults.build build/faults >/dev/null
	@$(VENV)/bin/python -m tests.faults.walk build/faults --part $(FAULTS_PART) $(FAULTS_ARGS)

lint: build test-tools ## formatter, linters, types, layering, generated files
	@$(VENV)/bin/pytest --quiet --numprocesses=2 tests/test_style.py

bench: build test-tools ## side by side with runc and crun, as it is installed; BENCH_ARGS="--growth --write host"
	@PATH="$(abspath $(VENV)/bin):$$PATH" $(VENV)/bin/python -m pip install --quiet --no-deps --no-build-isolation \
		--upgrade --target build/installed .
	@$(VENV)/bin/python -m bench --ocipy build/installed/bin/ocipy $(BENCH_ARGS)

bench-clusters: build test-tools ## 300 pods on a node and a swarm's service, side by side with runc, ten minutes
	@$(VENV)/bin/python -m bench.clusters "$(OCIPY)" "$$(command -v runc)" --write $(BENCH_ARGS)

.PHONY: conformance
# Results that build/conformance has already are read; `make clean` or RESULTS=DIR begins anew.
RESULTS ?= build/conformance
conformance: build test-tools ## ocipy, runc and crun against every MUST; writes docs/conformance*.md, 10 minutes
	@$(VENV)/bin/python -m conformance.compare --results $(RESULTS) ocipy=$(OCIPY) \
		runc=$$(command -v runc) crun=$$(command -v crun)

clean:
	rm -rf build .make/sources .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f ocipy/_native/_*.so ocipy/_native/ocipy-init ocipy/_native/packed_main.pyc
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) .make dist

# -- the development build

# meson lists sources by pattern, so it must look again when a file comes or goes.
locked-build: build-tools
	@find ocipy ocipy_native -type f -not -path '*/__pycache__/*' -not -path 'ocipy/_native/*' | sort >.make/sources.new
	@if [ ! -e build/build.ninja ]; then \
		rm -rf build; $(IN_VENV) meson setup build -Ddevelopment=true >.make/setup.log \
			|| { cat .make/setup.log; rm -rf build; exit 1; }; \
	elif ! cmp -s .make/sources.new .make/sources || [ meson.build -nt build/build.ninja ]; then \
		$(IN_VENV) meson setup --reconfigure build >.make/setup.log \
			|| { cat .make/setup.log; exit 1; }; \
	fi
	@mv .make/sources.new .make/sources
	@$(IN_VENV) ninja -C build --quiet -k 0; \
	status=$$?; \
	for built in build/_*.so build/ocipy-init build/packed_main.pyc; do \
		target="ocipy/_native/$${built##*/}"; \
		[ -f "$$built" ] || continue; \
		cmp -s "$$built" "$$target" && continue; \
		cp "$$built" "$$target.new" && mv "$$target.new" "$$target" || exit 1; \
	done; \
	exit $$status

# -- what has to be installed: $(call apt_missing,PROBE=PACKAGE ...) installs PACKAGE if PROBE, a
# path or a command, is not there; $(call pip_missing,STAMP,EXPRESSION) the requirements that a
# Python expression takes from pyproject.toml, again whenever that file changes.

define apt_missing
	@missing=(); \
	for pair in $(1); do \
		if [ ! -e "$${pair%%=*}" ] && ! command -v "$${pair%%=*}" >/dev/null; then \
			missing+=("$${pair#*=}"); \
		fi; \
	done; \
	if [ "$${#missing[@]}" -gt 0 ]; then \
		echo "installing $${missing[*]}"; \
		command -v apt-get >/dev/null || { echo "no apt-get: install them yourself" >&2; exit 1; }; \
		export DEBIAN_FRONTEND=noninteractive; \
		policy=/usr/sbin/policy-rc.d; \
		if [ ! -e $$policy ]; then \
			trap "rm -f $$policy" EXIT; \
			printf '#!/bin/sh\nexit 101 # installed for tests: no daemon shall start\n' >$$policy; \
			chmod +x $$policy; \
		fi; \
		{ apt-get update && apt-get install -y --no-install-recommends "$${missing[@]}"; } \
			>.make/apt.log 2>&1 || { cat .make/apt.log; exit 1; }; \
	fi
endef

define pip_missing
	@if [ ! $(1) -nt pyproject.toml ]; then \
		$(VENV)/bin/python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb")); \
			print(*($(2)), sep="\n")' >$(1).txt \
		&& $(VENV)/bin/pip install -qq --disable-pip-version-check -r $(1).txt && touch $(1); \
	fi
endef

PYTHON_H := $(shell $(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h

build-tools:
	@# A virtual environment and a build directory hold absolute paths: a tree that moved needs new ones.
	@if [ -e .make/where ] && [ "$$(cat .make/where)" != "$(CURDIR)" ]; then \
		rm -rf build $(VENV) .make/pip-* .make/sources; \
	fi
	@echo "$(CURDIR)" >.make/where
	$(call apt_missing,pkg-config=pkg-config musl-gcc=musl-tools /usr/include/seccomp.h=libseccomp-dev \
		/usr/include/linux/openat2.h=linux-libc-dev $(PYTHON_H)=python3-dev)
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) venv-package
	@[ -x $(VENV)/bin/pip ] || { rm -rf $(VENV) .make/pip-*; $(PYTHON) -m venv $(VENV); }
	$(call pip_missing,.make/pip-build,p["build-system"]["requires"] + p["project"]["dependencies"])

.PHONY: venv-package
venv-package:
	$(call apt_missing,/nonexistent=python3-venv)

demo-tools:
	$(call apt_missing,/bin/busybox=busybox-static)

# The clients of tests/clients, runc and crun to compare with, and the virtual machine.
CLIENTS := dockerd=docker.io containerd=containerd podman=podman conmon=conmon runc=runc crun=crun \
	/usr/lib/podman/netavark=netavark /usr/lib/podman/aardvark-dns=aardvark-dns \
	catatonit=catatonit /usr/lib/cni/bridge=containernetworking-plugins umoci=umoci skopeo=skopeo \
	buildah=buildah iptables=iptables nft=nftables ip=iproute2 jq=jq newuidmap=uidmap ps=procps \
	rootlesskit=rootlesskit slirp4netns=slirp4netns \
	strace=strace linux.uml=user-mode-linux insmod=kmod /lib/systemd/systemd=systemd dbus-daemon=dbus \
	/usr/share/doc/libpam-systemd=libpam-systemd /usr/share/doc/dbus-user-session=dbus-user-session

test-tools: demo-tools
	$(call apt_missing,$(CLIENTS))
	$(call pip_missing,.make/pip-test,sum(p["project"]["optional-dependencies"].values()$(COMMA) []))

fuzz-tools:
	$(call apt_missing,clang=clang /usr/lib/llvm-14/lib/clang/14.0.6/lib/linux=libclang-rt-14-dev)
	@$(VENV)/bin/python -c 'import atheris' 2>/dev/null || $(VENV)/bin/pip install -qq --disable-pip-version-check atheris

COMMA := ,

# The shells that completion is for, and what checks man pages.
.PHONY: shell-tools man docs
test-tools: shell-tools
shell-tools:
	$(call apt_missing,zsh=zsh fish=fish groff=groff-base)

man: build-tools ## the man pages, into build/man; `pip install .` installs them
	@$(VENV)/bin/python manual/man_pages.py build/man && ls build/man

docs: build test-tools ## the site, into build/site, without a warning and without the network
	@$(IN_VENV) NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet && echo build/site/index.html
