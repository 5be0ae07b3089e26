# Thin: every line can be typed by hand (on Windows: .venv\Scripts in place of .venv/bin).
PYTHON ?= python3.11
UV := .uv/bin/uv
BIN := .venv/bin
PIP := $(UV) pip install --python $(BIN)/python --compile-bytecode

.PHONY: demo test test-peers check lint types pins bench bench-peers clean
.DEFAULT_GOAL := demo

demo: .venv/.run  ## run the main job on the 2016 trial and say where the report is
	$(BIN)/ahsct demo

test: .venv/.dev  ## lint, types and the quick set of tests
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -n auto

test-peers: .venv/.dev .venv-peers/.peers  ## compare with the peer event detector, in an environment of its own (minutes)
	$(BIN)/python -m pytest -n auto tests/peers/compare_msprog.py tests/peers/compare_oracle.py

bench: .venv/.dev  ## print the benchmarks; asserts nothing
	$(BIN)/python benchmarks/run.py

bench-peers: .venv/.dev .venv-bench/.bench  ## time survival beside R and the Python libraries, in an environment of their own (minutes)
	$(BIN)/python benchmarks/survival.py

$(UV): requirements/uv.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-warn-script-location --require-hashes --upgrade --target .uv -r requirements/uv.txt
	@touch $(UV)

.venv/.run: requirements/run.txt pyproject.toml $(UV)
	test -x $(BIN)/python || $(UV) venv --quiet --no-config --python $(PYTHON) .venv
	$(PIP) --quiet --require-hashes -r requirements/run.txt
	$(PIP) --quiet --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	$(PIP) --quiet --require-hashes -r requirements/dev.txt
	@touch $@

.venv-peers/.peers: requirements/peers.txt $(UV)
	test -x .venv-peers/bin/python || $(UV) venv --quiet --no-config --python $(PYTHON) .venv-peers
	$(UV) pip install --python .venv-peers/bin/python --compile-bytecode --quiet --require-hashes -r requirements/peers.txt
	@touch $@

.venv-bench/.bench: requirements/bench.txt $(UV)
	test -x .venv-bench/bin/python || $(UV) venv --quiet --no-config --python $(PYTHON) .venv-bench
	$(UV) pip install --python .venv-bench/bin/python --compile-bytecode --quiet --require-hashes -r requirements/bench.txt
	@touch $@

pins: $(UV)  ## resolve the hash-pinned requirement files anew
	printf 'uv\n' | $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements/uv.txt -
	printf 'hatchling\neditables\n' | $(UV) pip compile --universal --python-version 3.11 --generate-hashes --fork-strategy fewest --no-header -o requirements/run.txt pyproject.toml -
	$(UV) pip compile --universal --python-version 3.11 --generate-hashes --fork-strategy fewest --no-header -c requirements/run.txt --extra models --extra postgres --extra xlsx --group dev -o requirements/dev.txt pyproject.toml
	printf 'pymsprog==1.0.7\nnumpy<2\n' | $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header -o requirements/peers.txt -
	printf 'lifelines\nscikit-survival\nstatsmodels\n' | $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-header -o requirements/bench.txt -

clean:
	rm -rf .venv .venv-peers .venv-bench .uv .mypy_cache .ruff_cache .pytest_cache .hypothesis
