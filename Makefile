# The commands of the project, for people and for CI. Needs Python 3.11 and make; everything else comes by pip.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := device,train,runtimes,llm,llama,search,serial,docs,dev
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help install demo bench graphs fuzz docs test test-all check clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say make PYTHON=/path/to/python3.11"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch==2.13.0
	CMAKE_ARGS=-DGGML_NATIVE=OFF $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

install: $(STAMP) ## make .venv with everything

demo: $(STAMP) ## data to firmware: train, quantize, compile and measure on four emulated devices
	$(BIN)/ratti build examples/digits.yaml

bench: $(STAMP) ## ratti beside other engines: the tables of docs/engines.md (needs the shared models)
	$(BIN)/python benchmarks/engines.py --write docs/engines.md

graphs: $(STAMP) ## 2,000 random graphs through every engine; goes on where it was stopped
	PYTHONPATH=tests $(BIN)/python tests/random_graphs.py 2000

fuzz: $(STAMP) ## 100,000 damaged files for each reader; goes on where it was stopped
	PYTHONPATH=tests $(BIN)/python tests/fuzz.py tflite 100000
	PYTHONPATH=tests $(BIN)/python tests/fuzz.py onnx 100000

docs: $(STAMP) ## the documentation as a site, in build/site/
	$(BIN)/mkdocs build --strict

check: $(STAMP) ## linter and type checker
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy

test: check ## the test suite (what CI runs)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not slow'

test-all: check ## everything, the slow tests included
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

clean: ## remove what was built, not .venv
	rm -rf build dist runs .pytest_cache .mypy_cache .ruff_cache src/*.egg-info
