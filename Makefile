# Every command can be repeated, also after an interruption.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test check bench build images generate cluster-up cluster-down

TRIPLE := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RELEASE := $(CURDIR)/target/$(TRIPLE)/release
STEP := tests/check/step

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Show the whole product: cluster (unless KUBECONFIG is set), chart, emulator, examples, events, metrics
	@tests/demo/up

demo-down: ## Remove everything that make demo created
	@tests/demo/down

test: ## Everything that CI runs: check, then every test level, including the real cluster
	@tests/check/all

check: ## Format, the rules of CONTRIBUTING.md, lints, dependencies, generated files, chart, alerts
	@tests/check/static

bench: build ## Benchmarks beside a reference, all or NAMES="memory …"; prints a table and writes target/bench.json
	@tests/bench/run

build: ## Build the static programs in target/<triple>/release, unless LANYARD_BIN_DIR is a folder with them
	@[[ -n "$${LANYARD_BIN_DIR:-}" ]] || $(STEP) "building the programs (about 8 minutes the first time)" \
	  cargo build --release --locked -p lanyard-operator -p lanyard-agent -p lanyard-emulator

images: build ## Build images of the programs in target/images
	@tests/kubernetes/images $(LANYARD_BIN_DIR)

generate: ## Write the CRD manifests from the types, and the chart's README from its values
	@cargo run -q --locked -p lanyard-crds --bin generate-manifests
	@tests/check/chart-readme

cluster-up: ## Start the demo's Kubernetes on this machine; with LANYARD_CLUSTER=test, that of the tests
	@tests/kubernetes/cluster up

cluster-down: ## Remove that Kubernetes
	@tests/kubernetes/cluster down
