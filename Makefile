# make quickstart   train, evaluate and predict on a small generated data set
# make lint         ruff, import-linter for the layers, and hadolint for the Dockerfile
# make test         lint and tests
# make package      sdist and wheel in dist/, checked as a package index does
# make docs         the documentation site, in docs/_build/html
# make docs-images  the images of the site, with the model in demo/
# Each installs what it needs into .venv first; it is used again when it is there.

VENV := .venv
BIN := $(VENV)/bin
BASE := $(VENV)/.installed
ALL := $(VENV)/.installed-all
DOCS := $(VENV)/.installed-docs
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# the build of torch: TORCH_INDEX=https://download.pytorch.org/whl/cpu, .../cu128, ...
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: install quickstart test lint package docs docs-images clean

install: $(ALL)

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch goes first and alone: nothing installed later may pull in another build of it
$(BASE): $(BIN)/python requirements.txt setup.py
	$(PIP) install $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$$(grep '^torch==' requirements.txt)"
	$(PIP) install -r requirements.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	touch $@

# the extras, and what the tests need
$(ALL): $(BASE) requirements-dev.txt
	$(PIP) install -r requirements.txt -r requirements-dev.txt
	touch $@

quickstart: $(BASE)
	$(BIN)/python tools/quickstart.py

# a file's tests run in one process, which makes their fixtures once; the longest files have few tests, so
# that files are not sorted by their number; processes that tests start take the bytecode from each other
test: lint
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(ALL)
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

package: $(ALL)
	rm -rf build dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*

$(DOCS): $(BASE) requirements-docs.txt
	$(PIP) install -r requirements-docs.txt
	touch $@

docs: $(ALL) $(DOCS)  # the API reference imports the web page, which needs the extras
	$(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

docs-images: $(ALL) $(DOCS)
	$(BIN)/python tools/make_docs_images.py

clean:
	rm -rf $(VENV) build docs/_build docs/_generated dist *.egg-info mmseg_instbox/.mim .pytest_cache .ruff_cache .import_linter_cache
