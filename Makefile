# The commands. Each may be called twice, interrupted and called again.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test check bench build images generate cluster-up cluster-down

TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RELEASE := $(CURDIR)/target/$(TRIPLE)/release
STEP := tests/check/step

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Show the whole product: cluster (unless KUBECONFIG names one), chart, emulator, examples, events, metrics
	@tests/demo/up

demo-down: ## Take everything away that make demo brought
	@tests/demo/down

test: ## Everything CI runs: check, then every test level, the real cluster included
	@tests/check/all

check: ## Format, lints, dependency rules, generated files, chart lint
	@tests/check/static

bench: build ## Benchmarks beside their floors, all or NAMES="memory …"; a table and target/bench.json
	@tests/bench/run

build: ## The static programs, in target/<triple>/release; nothing when LANYARD_BIN_DIR names a folder that has them
	@[[ -n "$${LANYARD_BIN_DIR:-}" ]] || $(STEP) "building the programs (about 8 minutes the first time)" \
	  cargo build --release --locked -p lanyard-operator -p lanyard-agent -p lanyard-emulator

images: build ## Images of the programs, in target/images
	@tests/kubernetes/images $(LANYARD_BIN_DIR)

generate: ## Write the CRD manifests from the types, and the chart's README from its values
	@cargo run -q --locked -p lanyard-crds --bin generate-manifests
	@tests/check/chart-readme

cluster-up: ## A real Kubernetes on this machine, the demo's; with LANYARD_CLUSTER=test, that of the tests
	@tests/kubernetes/cluster up

cluster-down: ## Take it away
	@tests/kubernetes/cluster down
