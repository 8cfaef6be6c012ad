# Each target sets up what it needs: .venv, filled again when the dependencies have changed.

PYTHON ?= python3
BIN := .venv/bin
WORKERS := 4  # of pytest: two more than the cores of a small machine, as two of them mostly wait for servers and browsers
ON_BOTH_DATABASES := $(wildcard $(addprefix tests/,db http concurrency webhooks crash))
ON_POSTGRES_ALONE := tests/concurrency $(addprefix tests/crash/,test_judging_killed.py test_evaluator_killed.py test_killed_between_statements.py)  # slow, and pass on SQLite too
ON_POSTGRES_ALONE += $(addprefix tests/,db/test_state_machine.py http/test_otlp_fuzz.py)  # slow as well, and it refuses more
ON_SQLITE_ALONE := tests/crash/test_ingest_killed.py tests/http/test_api_schema.py tests/db/test_healthy_rollouts.py  # starts SQLite's servers; document with SQLite's bounds of whole numbers; a million calls, which ask statistics
ON_SQLITE_ALONE += $(addprefix tests/http/,test_ofrep.py test_ofrep_provider.py)  # flags are answered from memory, like prompts
ON_SQLITE_ALONE += $(wildcard tests/http/test_admin_*.py tests/http/test_*_admin.py) $(addprefix tests/http/,test_access_reach.py test_draft_editor.py)  # forms and rights, for which one database is like the other
ON_SQLITE_ALONE += $(addprefix tests/http/test_,rollout_page.py rollout_forecast.py)  # as are pages of one rollout
ON_SQLITE_ALONE += $(addprefix tests/db/test_,replay.py explanation.py faults_of_rollouts.py alert_baseline.py judged_rollouts.py outlooks.py kinds_of_metrics.py)  # and stories that turn on statistics
BENCHMARKS := "serving --quick" sdk verdict "ingest --stages" "ingest --quick" "operating_characteristics --quick" "judging_design --quick" "baselines --quick" "pages --quick" insight_pages "watching --quick"

MAKEFLAGS += --jobs=3  # .venv-clients and .venv-ragas are filled while .venv is, and while lint runs
unexport PYTHONDONTWRITEBYTECODE  # some images set it, and each of hundreds of processes would compile everything anew

.PHONY: demo serve test lint chromium pictures bench fuzz soak

demo: .venv/installed  # make demo ARGS=--exit ends by itself
	$(BIN)/python -m demo $(ARGS)

serve: .venv/installed  # make serve ARGS="--port 8080"
	$(BIN)/python manage.py serve $(ARGS)

test: lint .venv-clients/installed .venv-ragas/installed chromium
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup $(addprefix --ignore ,$(ON_POSTGRES_ALONE))
	$(BIN)/pytest -q -n $(WORKERS) --dist loadgroup --postgres $(addprefix --ignore ,$(ON_SQLITE_ALONE)) $(ON_BOTH_DATABASES)

lint: .venv/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

chromium:  # Debian's, for tests/browser
	@tests/browser/get_chromium.sh

pictures: .venv/installed chromium  # every page, light, dark and on a phone, in var/pictures; and docs/rollout.png
	$(BIN)/pytest -q tests/browser --pictures

bench: .venv/installed
	set -e; for benchmark in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$benchmark; done

fuzz: .venv/installed  # every operation of the API, 2 000 examples each
	$(BIN)/pytest -q -n 2 tests/fuzz --hypothesis-profile=fuzz --timeout 0

soak: .venv/installed  # a day in five minutes, with everything killed on the way
	$(BIN)/python -m benchmarks.soak $(ARGS)

.venv/installed: pyproject.toml requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 11) and sys.exit("Serinus needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

.venv-clients/installed: tests/clients/requirements.txt  # instrumentations that do not go with what .venv holds
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv-ragas/installed: tests/ragas/requirements.txt  # the package of an extra, 0.8 GB with all that it needs
	$(PYTHON) -m venv .venv-ragas
	.venv-ragas/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@
