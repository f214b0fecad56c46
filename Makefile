# What a change has to pass, by name. `.ci/run` calls the same targets in a fresh environment.
# Run them in the environment of the README's second command.
.PHONY: check lint types imports test e2e stress coverage wheel screenshots docs

check: lint types imports  ## linters, type checker, import contracts

lint:
	ruff check .
	ruff format --check .

types:
	mypy

imports:
	lint-imports

test:  ## everything but the browser tests
	pytest

e2e:  ## the browser tests, which need Chromium
	CAMLAB_REQUIRE_BROWSER=1 pytest -m e2e tests/e2e

stress:  ## 200 clicks, drags, keys and uploads on every page, beside four programs that keep the processor busy
	CAMLAB_REQUIRE_BROWSER=1 CAMLAB_STRESS_ACTIONS=200 CAMLAB_STRESS_BURNERS=4 \
		pytest -m e2e -n 1 tests/e2e/test_lost_events.py

coverage:  ## branch coverage, with the two limits that must hold
	rm -f .coverage .coverage.*
	pytest --cov --cov-report=
	coverage report --include='camlab/*' --fail-under=95
	coverage report --include='pages/*' --fail-under=85

wheel:  ## dist/camlab-*.whl, which holds the dashboard
	python -m build --wheel

screenshots:
	python -m benchmarks.make_screenshots

docs:  ## the tables in docs/ that come from the registries
	python -m benchmarks.make_docs
