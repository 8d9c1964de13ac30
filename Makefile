# Two commands are all a newcomer needs: `make demo` and `make test`.
PYTHON ?= python3.11
ifeq ($(shell command -v $(PYTHON) 2>/dev/null),)
PYTHON := python3
endif
BIN := .venv/bin
EXTRAS := fast,plot,sim,leaderboard

.PHONY: help demo test lint check bench format clean board-rows
.DEFAULT_GOAL := help

help:
	@echo "make demo    a licence-free track, three prediction files, scores, a plot (sets itself up)"
	@echo "make test    sets up and runs the tests"
	@echo "make check   format, lint, spelling, types, tests"
	@echo "make board-rows  floors and shipped weights of HandSim's prepared tracks, as submissions"
	@echo "make bench   speed and memory, printed as ratios of one run (about 12 minutes)"

# A stamp for each set of packages: set up again only when what is asked for has changed.
.venv/.demo: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[$(EXTRAS)]" -c constraints.txt
	@touch $@

.venv/.dev: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -e ".[$(EXTRAS),baselines,dev]" -c constraints.txt
	@touch $@ .venv/.demo

demo: .venv/.demo
	@$(BIN)/hand-bench demo -o hand-bench-demo

test: .venv/.dev
	$(BIN)/python -m pytest -n auto --benchmark-disable -q tests

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell --skip '*.min.js' benchmark baselines leaderboard tests *.md
	$(BIN)/pyright

check: lint test

bench: .venv/.dev
	$(BIN)/python tests/speed/bench_evaluate.py
	$(BIN)/python tests/speed/bench_sim.py
	$(BIN)/python tests/speed/bench_training.py
	$(BIN)/python tests/speed/bench_silhouette.py
	$(BIN)/python tests/speed/bench_networks.py

# What the board starts with. Rows that are there stay; `hand-bench rescore` scores them again.
ROWS := runs/board-rows
board-rows: .venv/.dev
	$(BIN)/hand-bench baselines submit --root $(ROWS)
	@set -e; for meta in $(ROWS)/*/*/submission.yaml; do \
	  row=$$(dirname $$meta); name=$$(basename $$row); track=$$(basename $$(dirname $$row)); \
	  if [ ! -e submissions/$$track/$$name ]; then \
	    $(BIN)/hand-bench submit $$row/predictions.parquet --track $$track --meta $$meta --name $$name; \
	  fi; \
	done

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv hand-bench-demo .pytest_cache .ruff_cache
