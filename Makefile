# make demo: install the little that predicting needs, predict. make test: install all, then the tests.
# make check: what CI runs.
PYTHON ?= python3
VENV := .venv
BASE := $(VENV)/.base
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin

.PHONY: demo test check lint docs tables graphs clean

demo: $(BASE)
	$(BIN)/predict funnel --runtime onnx --gpu a100

test: $(STAMP)
	$(BIN)/pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml

check: lint docs test

tables: $(STAMP)
	$(BIN)/python -m benchmarks.update_readme

graphs: $(STAMP)
	$(BIN)/python -m benchmarks.record_graphs

$(BASE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(STAMP): $(BASE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV)
