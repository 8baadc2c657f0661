# Each target is enough on a fresh machine with Python 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Compiled once, PyTorch and what stands around it are imported in a third of the time.
unexport PYTHONDONTWRITEBYTECODE
FUZZ ?= $(notdir $(wildcard tests/fuzz/corpus/*))
UV_INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python

.PHONY: help environment export parity bench package tag sign verify dist test test-harnesses test-slow fuzz faults soak matrix zoo students lint docs benchmarks clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# A stamp holds an environment: it is made anew only when the pins or the project file change.
define VENV_READY
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "EdgeKit needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --constraint constraints.txt uv
endef

$(VENV)/.export: pyproject.toml constraints.txt
	$(VENV_READY)
	$(UV_INSTALL) --constraint constraints.txt --editable '.[coreml]'
	touch $@

$(VENV)/.ready: pyproject.toml constraints.txt
	$(VENV_READY)
	$(UV_INSTALL) --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.export

environment: $(VENV)/.ready ## .venv with everything pinned

export: $(VENV)/.export ## the bundled model as a verified Core ML package
	$(BIN)/edgekit export --target ios

# With `lint`, `test` and `export`, the steps of .github/workflows/model.yml, which `edgekit init` gives every project.
parity: export ## the exported package against the original, once more
	for folder in exported/*/; do $(BIN)/edgekit parity "$$folder" --against catalog-s0 || exit 1; done

bench: environment ## latency of the bundled model on this machine
	$(BIN)/edgekit export --target onnx --target android
	rm -rf bench-results
	$(BIN)/edgekit bench exported/*/*.onnx exported/*/*.pte --out bench-results

package: environment ## the bundled model as a release, unsigned, in release/
	$(BIN)/edgekit export --target ios --target onnx --target android
	$(BIN)/edgekit package exported/* $(addprefix --bench ,$(wildcard bench-results/*.json)) --out release

tag: environment ## TAG=v1.2.0, which must be the version of the bundled model
	@version="v$$($(BIN)/python -c 'import edgekit; print(edgekit.resolve_model(None).metadata.version)')"; \
	test "$${TAG:-}" = "$$version" || { echo "the tag is $${TAG:-not given}, the model's version $$version: set \`version\` in models/catalog-s0.toml, and tag again" >&2; exit 1; }

sign: environment ## KEY=FILE: sign release/
	$(BIN)/edgekit sign release --private-key "$(KEY)"

verify: environment ## PUBLIC_KEY=FILE: verify release/
	$(BIN)/edgekit verify release --public-key "$(PUBLIC_KEY)"

dist: environment ## wheel and sdist in dist/, checked by twine
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/python -m twine check --strict dist/*

test: environment ## the tests
	$(BIN)/python -m pytest -n 3 --dist loadfile

test-harnesses: environment ## what runs on phones, as far as it runs here; docs/device-lab.md names the tools it needs
	$(BIN)/python -m pytest -n 2 --dist loadfile -m toolchain

test-slow: environment ## the long matrices; needs gcc, cmake, and for arm64 qemu-user-static and g++-aarch64-linux-gnu
	$(BIN)/python -m pytest -m slow

fuzz: environment ## every parser, a minute each, guided by coverage; FUZZ=recipe for one alone
	for name in $(FUZZ); do $(BIN)/python -m tests.fuzz.guided $$name --seconds 60 || exit 1; done

faults: environment ## commands killed, interrupted, out of room and read-only at random moments (an hour; root)
	$(BIN)/python -m tests.faults --json build/faults.json

soak: environment ## 200 exports in one process, and what memory it takes
	$(BIN)/python benchmarks/soak.py

matrix: environment ## every listed backbone to all five formats, as a table
	$(BIN)/python benchmarks/matrix.py

zoo: environment ## a backbone of every timm module, torchvision's classifiers and more, on the whole road (hours)
	$(BIN)/python benchmarks/zoo.py --resume --out build/zoo.jsonl

students: environment ## train the bundled students again (hours on a CPU)
	for name in catalog-s0 catalog-b0 catalog-mobilevit-xs catalog-vit-tiny; do \
	  for run in $$name-start $$name-middle $$name-late $$name; do \
	    test ! -e models/training/$$run.toml || $(BIN)/edgekit distill models/training/$$run.toml --out build/$$run --resume || exit 1; \
	  done; \
	  $(BIN)/python models/training/publish.py build/$$name || exit 1; done

lint: environment ## style, floors and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

docs: environment ## the documentation site, in build/site; a warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

benchmarks: environment ## every side-by-side measurement
	for script in executorch_latency onnx_latency rewrites lowering cli distill_speed data_path repeatability; do $(BIN)/python benchmarks/$$script.py || exit 1; done

clean: ## remove what the targets above made
	rm -rf $(VENV) exported bench-results release dist build/site .import_linter_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
