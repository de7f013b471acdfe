PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
DEVICE := cpu

.PHONY: install demo test lint format bench clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## learn synthetic hearts from pixels and from numbers, measure both, draw the report
	$(BIN)/shapewise phantom $(DEMO)/data --patients 16 --seed 0
	$(MAKE) -j2 $(DEMO)/pixels/metrics.csv $(DEMO)/projection/metrics.csv
	$(BIN)/shapewise compare $(DEMO)/pixels $(DEMO)/projection --out $(DEMO)/report

$(DEMO)/%/metrics.csv: experiments/demo_%.yaml experiments/demo.yaml # two runs at once, one thread each
	OMP_NUM_THREADS=1 $(BIN)/shapewise train $< --data $(DEMO)/data --out $(DEMO)/$*
	OMP_NUM_THREADS=1 $(BIN)/shapewise evaluate $(DEMO)/$*

test: install ## every test, two at a time, one thread each
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal -q

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## the loss beside cross-entropy and other losses, curves for docs/performance.md, a step of ENet, the loader, the annotation page
	$(BIN)/python benchmarks/bars.py --device $(DEVICE)
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/enet_step.py --size 256 --device $(DEVICE)
	$(BIN)/python benchmarks/network_step.py --device $(DEVICE)
	$(BIN)/python benchmarks/projection.py
	$(BIN)/python benchmarks/loader.py --device $(DEVICE)
	$(BIN)/python benchmarks/page.py

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis
