# Everything runs from a clone with nothing but make and Python 3.11 or newer:
# the first target makes .venv and installs into it.
#
#   make demo         sample the posterior of the 12 primates; results on screen and in demo-output/
#   make demo-molecules
#                     sample drug-like molecules; results on screen and in demo-molecules-output/
#   make test         the tests, without the slow statistical tier
#   make check        ruff and pyright
#   make verify       the slow statistical tier
#   make benchmarks   every benchmark at its smallest size (figures: benchmarks/RESULTS.md)
#   make workflows    both Snakemake workflows: checked by Snakemake, planned for here and for SLURM,
#                     and run on their smallest examples, in build/workflows/
#   make docs         the documentation, its examples run, into build/docs/html
#   make docs-quick   the same with budgets of 12 s, as continuous integration builds it
#   make docs-pictures
#                     the pictures of reports in docs/pictures, from real runs (needs chromium)
#   make package      build sdist and wheel into dist/, install the wheel outside the checkout and run
#                     the tutorial's commands there; with FULL=1 all that it needs is installed too
#   make clean-caches remove the compiled kernels, so that all are compiled again (CONTRIBUTING.md)
#   make clean        remove what the targets above have made, .venv included
#
# Variables
#   PYTHON=python3.12    the Python to make .venv from, if the first one found will not do
#   TORCH_ARGS=...       more options for pip when it installs PyTorch. Where the default is a CUDA
#                        build of several GB and you want the CPU build:
#                        make TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"
#   TESTS="not long"     with test: also the part of the slow tier that takes up to a quarter of a
#                        minute a check
#   EXTRAS=...           with install: the extras of pyproject.toml that are installed
#   PROGRAMS=build/installed/bin
#                        with workflows, docs and docs-quick: the programs that `make package`
#                        installs, instead of those of the checkout
#   PYTEST_ARGS=...      more options for pytest, such as PYTEST_ARGS="-k newick -x"

VENV := .venv
STAMP := $(VENV)/.installed
PACKAGES_STAMP := $(VENV)/.packages
DOCS_STAMP := $(VENV)/.installed-docs
BIN := $(VENV)/bin
PYTHON ?=
TORCH_ARGS ?=
PYTEST_ARGS ?=
TESTS ?= not verification
EXTRAS ?= test,dev,workflow
DEMO_BUDGET ?= 90s

.PHONY: help install demo demo-molecules test check verify benchmarks workflows docs docs-quick docs-pictures package clean-caches clean
.DEFAULT_GOAL := help

help:
	@sed -n '/^# Variables/q; /^#   /s/^#   //p' Makefile

install: $(STAMP)

$(PACKAGES_STAMP): pyproject.toml constraints.txt
	@if [ ! -x $(BIN)/python ]; then \
	  for candidate in $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    if $$candidate -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	      >/dev/null 2>&1; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "make: no Python 3.11 or newer with venv found; install one, or name it: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	  fi; \
	  echo "making $(VENV) with $$found"; \
	  $$found -m venv $(VENV); \
	fi
	@echo "installing PyTorch and what else is needed; this takes some minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH_ARGS) torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@ $(if $(findstring docs,$(EXTRAS)),$(DOCS_STAMP))

# The kernels that the demos and the tests need; `make -j2 install` compiles for both programs at
# the same time.
KERNELS := $(VENV)/.kernels-phylogfn $(VENV)/.kernels-molgen
$(KERNELS): $(VENV)/.kernels-%: $(PACKAGES_STAMP)
	@echo "compiling the kernels of $*; about a minute"
	$(BIN)/python -m $*.warm_up
	@touch $@

$(STAMP): $(KERNELS)
	@touch $@

demo: $(STAMP)
	$(BIN)/phylogfn sample data/primates.fasta -o demo-output --budget $(DEMO_BUDGET) --seed 1 --force
	@echo
	@echo "from demo-output/summary.json:"
	@grep -E '^  "(log_evidence|log_evidence_se|ess|n_proposals|n_topologies|wall_seconds)":' \
	  demo-output/summary.json
	@echo
	@echo "most probable topologies (rank, probability with its error, cumulative, log evidence):"
	@head -n 6 demo-output/topologies.tsv | cut -f 1-5
	@echo
	@echo "majority-rule consensus with clade probabilities:"
	@cat demo-output/consensus.nwk
	@echo
	@echo "open demo-output/report.html in a browser for the tree, the diagnostics and the citations"

demo-molecules: $(STAMP)
	$(BIN)/molgen sample -o demo-molecules-output --reward druglike --budget 60s \
	  --seed 1 --force
	@echo
	@echo "from demo-molecules-output/summary.json:"
	@grep -E '^  "(n_unique|mean_score|top10_mean|internal_diversity|n_scaffolds|n_modes|validity|log_partition|log_partition_se|ess|wall_seconds)":' \
	  demo-molecules-output/summary.json
	@echo
	@echo "best molecules (SMILES, score):"
	@head -n 5 demo-molecules-output/library.smi
	@echo
	@echo "open demo-molecules-output/report.html in a browser for drawings, diagnostics and citations"

test: $(STAMP)
	$(BIN)/python -m pytest -m "$(TESTS)" $(PYTEST_ARGS)

verify: $(STAMP)
	$(BIN)/python -m pytest -m verification $(PYTEST_ARGS)

check: $(PACKAGES_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright

# One target each, so that `make -j2 benchmarks` runs two at a time.
BENCHMARKS := phylogfn.likelihood phylogfn.parsimony phylogfn.ccd_control phylogfn.evidence \
  phylogfn.clade_errors phylogfn.training phylogfn.mrbayes_control phylogfn.mrbayes_examples gfncore.symmetry \
  gfncore.backbone gfncore.heavy_tails gfncore.leaderboard gfncore.hypergrid_speed gfncore.distributed molgen.scoring molgen.exact molgen.graph_space molgen.order_preserving \
  molgen.training molgen.sampling molgen.druglike molgen.walkers
ifeq (,$(shell command -v mb))
BENCHMARKS := $(filter-out phylogfn.mrbayes_control phylogfn.mrbayes_examples,$(BENCHMARKS))
endif
BENCHMARK_TARGETS := $(addprefix benchmark-,$(BENCHMARKS))
benchmark-%: SIZE = --quick
benchmark-phylogfn.parsimony: SIZE = data/primates.fasta --quick
benchmark-phylogfn.clade_errors: SIZE = data/primates.fasta --quick --threads 1
benchmark-phylogfn.ccd_control: SIZE = data/primates.fasta --budget 20s --seeds 1
benchmark-phylogfn.evidence: SIZE = data/primates.fasta --budget 20s --seeds 1
benchmark-phylogfn.training: SIZE = data/primates.fasta --quick
benchmark-phylogfn.mrbayes_control: SIZE = data/primates.fasta --budget 20s --seeds 1
# one thread: each process that a benchmark starts loads PyTorch again
benchmark-molgen.training benchmark-molgen.sampling: SIZE = --quick --threads 1
benchmark-molgen.exact: SIZE = --max-atoms 2 --seeds 1 --budget 2s --draws 1000 --symmetry merged
benchmark-molgen.graph_space: SIZE = --nodes 3 --budget 2s --steps 20 --draws 1000
benchmark-molgen.order_preserving: SIZE = --max-atoms 3 --steps 10 --draws 20 --seeds 1

benchmarks: $(BENCHMARK_TARGETS)
	@command -v mb >/dev/null || echo "mb is not installed: the MrBayes control is left out"

.PHONY: $(BENCHMARK_TARGETS)
$(BENCHMARK_TARGETS): benchmark-%: $(STAMP)
	$(BIN)/python -m benchmarks.$* $(SIZE)

benchmarks: benchmark-phylogfn.paper_measures
.PHONY: benchmark-phylogfn.paper_measures
benchmark-phylogfn.paper_measures: $(STAMP)
	$(BIN)/phylogfn sample data/primates.fasta --model JC69 --branch-prior exp:10 --environment merging \
	  --budget 60s --runs 1 --seed 1 \
	  -o build/paper-measures --force --quiet
	$(BIN)/python -m benchmarks.phylogfn.paper_measures build/paper-measures --weights 64 \
	  --repeats 2 --trees 50

# Programs that `workflows` and the documentation run: those of the checkout, or others such as
# build/installed/bin, which is the wheel that `make package` has installed.
PROGRAMS ?= $(BIN)
RUN = PATH="$(abspath $(PROGRAMS)):$(CURDIR)/$(BIN):$$PATH"
PROGRAM_PYTHON = $(abspath $(PROGRAMS))/python

# where `make package` has to come first
ifeq ($(PROGRAMS),build/installed/bin)
workflows docs docs-quick: package
endif

package: $(STAMP)
	TORCH_ARGS="$(TORCH_ARGS)" $(BIN)/python tests/packaging/installed_package.py \
	  --environment build/installed $(if $(FULL),--full)

SPHINX = $(RUN) $(PROGRAM_PYTHON) -P -m sphinx -W --keep-going -n -j 2 --quiet

$(DOCS_STAMP): $(PACKAGES_STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

# Pages of both forms stand in one folder, examples in one of each form: see docs/conf.py.
docs: $(STAMP) $(DOCS_STAMP)
	$(SPHINX) docs build/docs/html
	$(BIN)/python docs/check_links.py build/docs/html

docs-quick: $(STAMP) $(DOCS_STAMP)
	$(SPHINX) -D examples_budget=12s docs build/docs/html
	$(BIN)/python docs/check_links.py build/docs/html

docs-pictures: $(DOCS_STAMP)
	$(BIN)/python docs/pictures/make.py

WORKFLOWS := build/workflows
SNAKEMAKE = $(RUN) $(PROGRAM_PYTHON) -m snakemake

# Copied as users copy them, and run there. A plan for SLURM needs no cluster.
workflows: $(STAMP)
	rm -rf $(WORKFLOWS)
	$(PROGRAMS)/phylogfn workflow init $(WORKFLOWS)/phylogeny
	$(PROGRAMS)/molgen workflow init $(WORKFLOWS)/molecules
	for name in phylogeny molecules; do ( set -e; cd $(WORKFLOWS)/$$name; \
	  $(SNAKEMAKE) --lint; \
	  $(SNAKEMAKE) --quiet rules --directory .test --dry-run --workflow-profile profiles/slurm >/dev/null; \
	  $(SNAKEMAKE) --quiet rules --directory .test --cores 2; \
	  ls .test/results/report.html .test/results/multiqc/*_mqc.json ) || exit 1; done

clean-caches:
	find phylogfn molgen gfncore -path '*/__pycache__/*' \( -name '*.nbi' -o -name '*.nbc' \) -delete

clean: clean-caches
	rm -rf $(VENV) build dist demo-output demo-molecules-output .pytest_cache .ruff_cache .hypothesis
	find phylogfn molgen gfncore tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
