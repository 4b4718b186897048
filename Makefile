# One word for each thing that is done with the project. `make test` is what has to pass.
# What is missing on the machine is put into .cache, which git ignores; packages of the system are installed by e2e/lab and e2e/cluster.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(HOME)/.cargo/bin:$(PATH)
export GODWIT_LAB_CACHE ?= $(CURDIR)/.cache/lab
TOOLS := $(CURDIR)/.cache/tools
DENY_VERSION := 0.20.2
SHELLCHECK := /usr/bin/shellcheck
DENY := $(TOOLS)/cargo-deny-$(DENY_VERSION)/bin/cargo-deny

.PHONY: build tools test test-unit test-integration test-scale test-packaging test-chaos test-model test-fuzz fuzz lint fmt clippy doc shell deny advisories image cluster demo bench crds clean help

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -ts $$'\t'

build: ## the binary: target/release/godwit
	cargo build --release --locked

test: lint test-unit test-packaging test-integration ## everything that has to pass

test-unit: ## tests that need no server
	cargo test --lib --locked

test-integration: ## tests against real servers, which e2e/lab provides; two rows side by side
	e2e/integration.sh

test-packaging: ## chart, kustomize, samples, GitOps
	config/check.sh

test-scale: tools ## the slow tier of the operator: 5,000 tasks with hollow engines, as a table
	e2e/scale/run.sh

test-chaos: ## the slow tier: an engine killed a hundred times under load
	GODWIT_CRASH_KILLS=100 cargo test --test e2e --locked crash:: -- --nocapture

test-model: ## the slow tier of the model: wider bounds
	cargo --config profile.test.opt-level=3 test --test model --locked -- --ignored

fuzz: ## libFuzzer on everything that reads what others wrote, GODWIT_FUZZ_SECONDS (60) each
	fuzz/run.sh

test-fuzz: ## the fuzzers, with new seeds for GODWIT_FUZZ_MINUTES (60)
	GODWIT_FUZZ_MINUTES=$${GODWIT_FUZZ_MINUTES:-60} cargo test --test e2e --locked -- --nocapture families::cascades_beside_snapshots fuzz_keys::
	GODWIT_FUZZ_MINUTES=$${GODWIT_FUZZ_MINUTES:-60} cargo test --test e2e --locked -- --nocapture --ignored fuzz_keyless::
	GODWIT_FUZZ_MINUTES=$${GODWIT_FUZZ_MINUTES:-60} cargo test --test schema_real --locked definitions_survive -- --nocapture

lint: fmt clippy doc shell deny advisories ## formatting, clippy, links of the documentation, shellcheck, licences, banned crates, advisories where they can be had

fmt:
	cargo fmt --check

clippy:
	cargo clippy --all-targets --locked -- --deny warnings

# Links to what is private are for whoever reads the source.
doc:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --lib --no-deps --document-private-items --locked --quiet

shell: $(SHELLCHECK)
	$(SHELLCHECK) --severity=warning $$(git ls-files '*.sh') .ci/run
	@! git grep -nwE 'nice|ionice' -- '*.sh' || { echo "a script that others wait for must not make itself wait"; exit 1; }

deny: $(DENY)
	cargo fetch --locked --quiet
	$(DENY) --offline check bans licenses sources

$(SHELLCHECK):
	apt-get -qq -y --no-install-recommends install shellcheck >/dev/null || \
		{ apt-get -qq update && apt-get -qq -y --no-install-recommends install shellcheck >/dev/null; }

advisories: $(DENY)
	e2e/advisories.sh $(DENY)

# Built once a machine: about one minute on two cores.
$(DENY):
	cargo install cargo-deny --version $(DENY_VERSION) --locked --debug --root $(TOOLS)/cargo-deny-$(DENY_VERSION) \
		--target-dir $(TOOLS)/build
	rm -rf $(TOOLS)/build

image: ## the image, as an archive for docker, podman and containerd: target/oci/
	image/build.sh

cluster: ## a Kubernetes in the cache: five to ten minutes the first time
	e2e/cluster/provision.sh

# With the examples in one go: by themselves they have other dependencies, for which everything would be compiled a second time. The demo has a
# profile that compiles faster; what is measured is compiled as the image is.
tools:
	cargo build --release --locked --bin godwit --example shop --example hollow

demo: ## two servers, a small shop, a migration with changes under way
	cargo build --profile demo --locked --bin godwit --example shop
	e2e/demo.sh

bench: tools ## measurements against real servers
	benches/run.sh

crds: ## crds/ anew from crates/api
	GODWIT_BLESS=1 cargo test --lib --locked crd::

clean: ## what was built; the cache of servers and tools stays
	cargo clean
