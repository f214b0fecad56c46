# What a change has to pass, by name. `.ci/run` calls the same targets in a fresh environment.
# Run them in the environment of the README's second command.
.PHONY: check lint types imports test e2e coverage wheel screenshots docs

check: lint types imports  ## linters, type checker, import contracts

lint:
	ruff check .
	ruff format --check .

types:
	mypy

imports:
	lint-imports

test:  ## the whole suite, browser tests included where Chromium is there
	pytest

e2e:  ## the browser tests alone
	CAMLAB_REQUIRE_BROWSER=1 pytest tests/e2e

coverage:  ## branch coverage, with the two limits that must hold
	rm -f .coverage .coverage.*
	pytest --ignore=tests/e2e --cov --cov-report=
	coverage report --include='camlab/*' --fail-under=95
	coverage report --include='pages/*' --fail-under=85

wheel:  ## dist/camlab-*.whl, which holds the dashboard
	python -m build --wheel

screenshots:
	python -m benchmarks.make_screenshots

docs:  ## the tables in docs/ that come from the registries
	python -m benchmarks.make_docs
