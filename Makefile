# Two commands do everything: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SWEEP := out/sweep
SWEEPING = rm -rf $(SWEEP) && $(BIN)/python tests/sweep.py $(SWEEP)
JUDGING = HOKUSAI_SWEEP_DIR=$(SWEEP) $(BIN)/pytest tests/test_promises.py
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

.PHONY: setup browser demo test sweep chaos lint types docs reports lock endurance bench wheel clean

setup: $(READY)

# uv installs in seconds what pip needs a minute for; byte-compiling once spares every start of MLflow four seconds.
$(READY): requirements/bootstrap.lock requirements/dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/dev.lock
	VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

# Debian's Chromium, where this is Debian, we are root and there is none: tests of the page are skipped without one.
browser:
	sh tests/install_browser.sh

# The main job twice, healthy and then as on 2025-08-05. Exit code 1 of the second run says: something fails.
demo: setup
	$(BIN)/hokusai-probe run --sandbox healthy --reports out/healthy
	$(BIN)/hokusai-probe run --sandbox 2025-08-05 --reports out/2025-08-05 || test $$? -eq 1
	$(BIN)/hokusai-probe issues out/2025-08-05/test_execution_summary.json --repository example/infrastructure
	@echo "The reports are in out/healthy and out/2025-08-05."

# The sweep has the machine to itself: beside other tests the platform's scaled timers run out. What fits into the
# seconds is looked at, another part in each run; `make sweep` looks at everything.
test: setup lint types
	$(BIN)/pytest --ignore=tests/test_promises.py
	$(SWEEPING) --seconds $(or $(SECONDS_TO_SWEEP),20)
	$(JUDGING)

# Every scenario looked at once, mended and recorded; then which cause makes which check fail, the grade, and
# whether all promises hold. About 70 minutes.
sweep: setup
	$(SWEEPING) --heal --keep
	$(JUDGING)

# Every experiment in a sandbox of its own, recorded, and its table in docs/chaos.md. About 15 minutes. Exit code 1 of
# the experiments says: something deviated; that is recorded as well.
chaos: setup
	$(BIN)/hokusai-probe chaos --all --reports out/chaos --json out/chaos.json || test $$? -eq 1
	$(BIN)/python tests/chaos_kept.py out/chaos.json

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

# The manual pages that are made from docstrings.
docs: setup
	$(BIN)/python -m hokusai_probe.cli.manual docs
	$(BIN)/python -m hokusai_probe.cli.handbook docs

# The documents of the recorded 2025-08-05, judged and written anew after a check, a cause or a format has changed.
reports: setup
	$(BIN)/hokusai-probe replay reports/test_execution_summary.json --reports reports || test $$? -eq 1

lock: setup
	$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.lock
	$(COMPILE) --all-extras --group dev pyproject.toml -o requirements/dev.lock

# A hundred sandboxes started and killed at random moments: half a minute a round on a busy machine, 8 s on a quiet one.
endurance: setup
	$(BIN)/python tests/endurance.py $(or $(ROUNDS),100)

# What this tool costs, as ratios, into docs/performance.md: ten minutes on a machine that does nothing else.
# `tests/bench.py publish` is by itself.
bench: setup
	$(BIN)/python tests/bench.py --write --runs $(or $(RUNS),5)

# The wheel, built and tried in an environment of its own, as a release does before it publishes.
wheel: setup
	rm -rf out/dist
	$(BIN)/python -m hatchling build -t wheel -d out/dist
	bash .github/try-wheel out/dist "$$($(BIN)/python -m hatchling version)"

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis out dist build
