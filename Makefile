# make demo: rank the embedded zoo.  make test: everything that must hold.  Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CONSTRAINTS ?= .ci/constraints.txt
STUDY := benchmarks/transferability
SHARED ?= ../shared

STUDY2 := $(BIN)/python -m benchmarks.transferability.study2

.PHONY: help setup demo test test-slow test-lowest check-extras audit lint docs man notebook study study2 tables clean

help:
	@echo "make setup | demo | test | test-slow | test-lowest | check-extras | audit | lint | docs | man | notebook | tables | study SHARED=FOLDER | study2 SHARED=FOLDER | clean"

setup: $(READY)

# The constraints pin torch and torchvision: an open requirement would take gigabytes of CUDA, or two builds that clash.
$(READY): pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "acrank needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $@

demo: setup
	$(BIN)/acrank demo --dir demo-run

test: setup lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow"

# What reads foreign bytes, with the oldest libraries that pyproject.toml allows.
test-lowest:
	$(MAKE) setup CONSTRAINTS=.ci/lowest.txt
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto -m "not slow" tests/zoo tests/test_lower_bounds.py

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

# The wheel in a clean environment, and each extra of pyproject.toml in one of its own, with a command that needs it.
check-extras: setup
	$(BIN)/python tests/check_extras.py --constraints $(CONSTRAINTS)

# Known holes in the oldest and the installed libraries; asks osv.dev.
audit: setup
	.ci/audit $(BIN)/python

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The site in build/docs. A link that leads nowhere, and any other warning, is an error.
docs: setup
	$(BIN)/python .ci/pages.py
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -b html docs build/docs

# man/acrank.1 from the help: man ./man/acrank.1
man: setup
	mkdir -p man
	$(BIN)/python .ci/man.py > man/acrank.1

# docs/notebook.ipynb, run anew.
notebook: setup
	$(BIN)/python benchmarks/screenshots/notebook.py

# Every table of both transferability studies from the committed files, in less than two minutes.
tables: setup
	$(BIN)/python $(STUDY)/tables.py
	$(STUDY2).tables2
	$(STUDY2).forms

# The whole study, from the data of SHARED; what is finished is not done again.
study: setup
	$(BIN)/python $(STUDY)/truth.py --shared $(SHARED) --splits 5
	$(BIN)/python $(STUDY)/truth.py --shared $(SHARED) --splits 9 cifar_animals isbi_em digits cifar_vehicles
	$(BIN)/python $(STUDY)/truth.py --shared $(SHARED) --splits 6 vessel_patches
	$(BIN)/python $(STUDY)/truth.py --shared $(SHARED) --splits 5 --method ac-norm
	$(BIN)/python $(STUDY)/observe.py --shared $(SHARED) busi cifar_animals grades cells vessel_patches drive
	$(BIN)/python $(STUDY)/choose.py
	$(BIN)/python $(STUDY)/combine.py
	$(BIN)/python $(STUDY)/scores.py --shared $(SHARED)
	$(BIN)/python $(STUDY)/results.py
	$(BIN)/python $(STUDY)/tables.py

# The whole second study, but for the scores of the reporting half: those are looked at once, when the default is fixed.
study2: setup
	for pool in a b c2d c3d; do \
	  $(STUDY2).truth2 --shared $(SHARED) --pool $$pool && $(STUDY2).scores2 --shared $(SHARED) --pool $$pool || exit 1; done
	for pool in b c2d c3d; do $(STUDY2).truth2 --shared $(SHARED) --pool $$pool --method ac-norm || exit 1; done
	$(STUDY2).tables2
	$(STUDY2).forms

clean:
	rm -rf .venv build/docs demo-run .pytest_cache .mypy_cache .ruff_cache .hypothesis
