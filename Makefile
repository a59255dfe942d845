# Two words do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
# uv does not read PIP_FIND_LINKS: hand it over, so that both installers find the same wheels.
UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_FIND_LINKS
# Which build of torch uv takes where no folder of wheels is given: cpu, or auto for what the machine's GPU needs.
TORCH ?= cpu
TORCH_BACKEND := $(if $(UV_FIND_LINKS),,--torch-backend $(TORCH))

.PHONY: setup demo test oracle lint types imports docs bench clean system-packages

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python $(TORCH_BACKEND) --constraint constraints.txt --editable '.[dev]' \
	  || $(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: setup
	folder=$$(mktemp -d) && $(BIN)/sagehound run --data-dir "$$folder/cloud" --port 0 && rm -rf "$$folder"

test: setup
	$(BIN)/pytest -n 3 --dist loadgroup

# The independent IAM evaluator that tests/policy/test_oracle.py compares ours with: not ours, not shipped, not needed.
oracle:
	npm install --silent --no-save --no-package-lock --no-audit --no-fund --prefix .oracle @cloud-copilot/iam-simulate@0.1.173

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/python -m tools.write_tree --check

types: setup
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m tools.write_coverage && $(BIN)/python -m tools.write_settings && $(BIN)/python -m tools.write_tree
	$(BIN)/python -m pip install --quiet --constraint constraints.txt '.[docs]'
	$(BIN)/mkdocs build --strict

bench: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt '.[bench]'
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .venv-clients build dist site .pytest_cache .mypy_cache .ruff_cache
