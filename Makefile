# RocketMQ operator. `make help` lists the targets; README.md explains the first two to run.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

include hack/versions.env

CACHE   ?= $(or $(ROCKETMQ_OPERATOR_CACHE),$(HOME)/.cache/rocketmq-operator)
CLUSTER ?= demo
MODE    ?=
PYTHON  ?= python3
# Processes that share the tests; 0: all in one, e.g. to see a test's output as it comes.
WORKERS ?= 2
# Deploying goes to the current kubectl context.
NAMESPACE ?= rocketmq-operator
IMAGE     ?= docker.io/apache/rocketmq-operator:$(OPERATOR_VERSION)

VENV := $(CACHE)/venv/$(shell cat requirements/dev.txt | sha256sum | cut -c1-12)
BIN  := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# What of a long run costs the time.
SLOWEST := --durations=30 --durations-min=10
SHARED := -n $(WORKERS) --dist worksteal
# Transfers, scalings and faults of `make soak`; ROCKETMQ_SEED chooses which.
ACTS ?= 100
# Integration tests that `make test` leaves to `make rolls`, to stay under four minutes.
LONGER := rolls reconcilers fakes
# Tests on a node that `make e2e` leaves to `make soak`.
SOAKED := load_client scale_in topic_transfer acts
# Real clusters, side by side, that share the tests of `make e2e`; one keeps half of two cores busy.
NODES ?= 1
cluster = $(PYTHON) hack/cluster
# A fresh clone is checked as fast as the one before it.
export MYPY_CACHE_DIR := $(CACHE)/mypy

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

##@ Everything at once
.PHONY: demo demo-down
demo: ## A real cluster, the operator, a RocketMQ cluster, 100 messages through it
	@$(PYTHON) hack/demo up --name $(CLUSTER) $(if $(MODE),--mode $(MODE))
demo-down: ## Remove all that `make demo` made
	@$(PYTHON) hack/demo down --name $(CLUSTER)

##@ Checks
.PHONY: setup test lint unit integration programs rolls transfers conformance soak bench e2e \
  generate verify lock
setup: $(VENV)/.complete ## Install the locked development tools into the cache folder
# The folder is named for the lock file: a clone with the same one finds it complete.
$(VENV)/.complete:
	@echo "installing development tools into $(VENV)" >&2
	@rm -rf "$(VENV)" && $(PYTHON) -m venv "$(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

test: ## Lint, unit and integration tests; sets up what they need
	@hack/phases lint unit integration
lint: setup ## ruff, mypy --strict, import-linter, generated files fresh
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/python -m mypy
	@MYPYPATH=hack/cluster $(BIN)/python -m mypy --config-file hack/mypy.ini hack/cluster
	@MYPYPATH=hack/demo:test $(BIN)/python -m mypy --config-file hack/mypy.ini hack/demo hack/bench hack/*.py
	@$(BIN)/lint-imports
	@$(BIN)/python hack/layout.py
	@$(MAKE) verify
unit: setup ## Unit tests: no sockets, virtual time
	@$(PYTEST) $(SHARED) test/unit
integration: programs ## The operator against a real kube-apiserver, etcd and controller-manager
	@$(PYTEST) $(SHARED) test/integration $(addprefix --ignore=test/integration/,$(LONGER) transfers rocketmq/conformance)
rolls: programs ## The same through whole rolls, with operators that die in them; the scripts in the pods
	@$(PYTEST) $(SLOWEST) $(SHARED) $(addprefix test/integration/,$(LONGER))
transfers: programs ## Topics that move, or come back, between real servers under load
	@$(cluster) rocketmq --version "$(ROCKETMQ_VERSION)" >/dev/null
	@$(PYTEST) $(addprefix test/integration/transfers/test_,moves.py rollbacks.py) -k "$(ROCKETMQ_VERSION)"
soak: programs ## Rolls and transfers with a kill at every write; then 100 random acts on a node: hours
	@for version in $(ROCKETMQ_VERSION) $(ROCKETMQ_OTHER_VERSIONS); do \
	  $(cluster) rocketmq --version "$$version" >/dev/null; done
	@ROCKETMQ_EVERY_CALL=1 $(PYTEST) $(SHARED) test/integration/rolls
	@ROCKETMQ_EVERY_CALL=1 $(PYTEST) -n $(WORKERS) --dist loadgroup test/integration/transfers  # one process a version
	@ROCKETMQ_TOPICS=5000 ROCKETMQ_EVERY_VERSION=1 ROCKETMQ_ACTS=$(ACTS) \
	  $(PYTEST) $(foreach name,scale_out $(SOAKED),test/e2e/test_$(name).py)
programs: setup
	@for program in etcd kube-apiserver kube-controller-manager kubectl; do \
	  $(cluster) binary "$$program" >/dev/null; done  # minutes, the first time: no test may wait for it
conformance: setup ## The remoting client against real RocketMQ servers of three versions
	@for version in $(ROCKETMQ_VERSION) $(ROCKETMQ_OTHER_VERSIONS) $(ROCKETMQ_NEWEST_VERSION); do \
	  $(cluster) rocketmq --version "$$version" >/dev/null; done
	@$(PYTEST) test/integration/rocketmq/conformance
bench: setup ## What things cost, as ratios to a bare loop in the same run; wants a quiet machine
	@for one in hack/bench/*.py; do echo "== $$one"; $(BIN)/python "$$one"; done
e2e: setup ## The operator's image in a real cluster, with real RocketMQ servers and client (NODES=2: in two)
	@$(PYTEST) $(SLOWEST) $(if $(filter-out 1,$(NODES)),-n $(NODES) --dist loadfile --no-loadscope-reorder) \
	  test/e2e $(foreach name,$(SOAKED),--ignore=test/e2e/test_$(name).py)
generate: setup ## Write CRDs, RBAC and the field reference from the typed models
	@$(BIN)/python hack/generate.py
verify: setup ## Fail when a generated file is stale
	@$(BIN)/python hack/generate.py --check
lock: setup ## Lock the dependencies of setup.cfg again
	@hack/lock.sh $(BIN)

##@ Clusters on this machine
.PHONY: cluster-up cluster-status cluster-down
cluster-up: ## Start the cluster $(CLUSTER) (MODE=local|kind|existing)
	@$(cluster) up --name $(CLUSTER) $(if $(MODE),--mode $(MODE))
cluster-status: ## Tell what runs of it
	@$(cluster) status --name $(CLUSTER)
cluster-down: ## Remove it: processes, interfaces, mounts, folders
	@$(cluster) down --name $(CLUSTER)

##@ The operator in the current kubectl context
.PHONY: image deploy undeploy purge
image: ## Build the operator's image as an OCI archive
	@$(cluster) image operator --tag $(IMAGE)
deploy: ## Install CRDs and operator (NAMESPACE, IMAGE, WATCH_NAMESPACES)
	@NAMESPACE=$(NAMESPACE) IMAGE=$(IMAGE) hack/deploy.sh deploy
undeploy: ## Remove the operator; clusters, CRDs and data stay
	@NAMESPACE=$(NAMESPACE) IMAGE=$(IMAGE) hack/deploy.sh undeploy
purge: ## Say what goes, then remove clusters, operator and CRDs (CONFIRM=yes)
	@NAMESPACE=$(NAMESPACE) IMAGE=$(IMAGE) hack/deploy.sh purge
