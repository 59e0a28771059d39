# make simulate: the first figure from a fresh clone.  make test: everything CI checks.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: simulate test fast lowest docs bench clean

simulate: $(VENV)/installed
	$(BIN)/dlhw simulate --func sinc

test: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile
	$(BIN)/pytest --doctest-modules dlhw

fast: $(VENV)/tested
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

# The oldest versions that pyproject.toml admits, against the fast tests and every kind of model.
lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	sed -n '/^dependencies/,/^]/s/.*"\(.*\)>=\(.*\)".*/\1==\2/p' pyproject.toml > $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/pip install --quiet -r $(VENV)-lowest/lowest.txt "pytest>=8.3" "pytest-xdist>=3.6" \
	  "tensorboard>=2.20" -e .
	$(VENV)-lowest/bin/pytest -n 2 --dist loadfile -m "not slow"
	$(VENV)-lowest/bin/pytest -n 2 --dist loadfile tests/zoo tests/watch

# The documentation site, in site/; every warning is an error. Notebooks that changed are run first.
docs: $(VENV)/documented
	$(BIN)/python -m docs.site.notebooks
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(VENV)/tested
	$(BIN)/pip install --quiet -e ".[bench]"
	$(BIN)/python -m benchmarks.simulate
	$(BIN)/python -m benchmarks.images
	$(BIN)/python -m benchmarks.surface
	$(BIN)/python -m benchmarks.measures
	$(BIN)/python -m benchmarks.layout
	$(BIN)/python -m benchmarks.scaling

$(VENV)/installed: pyproject.toml
	@echo "installing TensorFlow and the rest into $(VENV): some minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e .
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet -e ".[test,docs]"
	touch $@

$(VENV)/documented: $(VENV)/installed
	$(BIN)/pip install --quiet -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-lowest build dist site *.egg-info
