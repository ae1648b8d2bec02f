# Everything works from nothing on Debian with Python 3.11, as root and as an unprivileged user.
# ARGS goes to pytest: make demo ARGS="-k slow", make test ARGS="tests/unit -q"; make fresh-check ARGS="--row 'with all'".
.DEFAULT_GOAL := help
.PHONY: help demo test check fresh-check soak-demo bench clean
ARGS ?=

help: ## This list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

demo: ## The demo suite on the reference payment system; writes reports/latest/report.html
	@sh scripts/demo.sh $(ARGS)

test: ## The project's tests
	@sh scripts/test.sh $(ARGS)

check: ## Format, lint, types, import contracts, dead code, tidy test
	@sh scripts/setup.sh dev
	@.venv/bin/python scripts/check.py

fresh-check: ## Clean clones of HEAD, as root and as an unprivileged user: make demo and make test from nothing
	@"$$(sh scripts/find_python.sh)" scripts/fresh_check.py $(ARGS)

soak-demo: ## The demo suite 20 times in a row; appends to soak-demo.tsv and resumes
	@sh scripts/setup.sh demo
	@.venv/bin/python scripts/soak_demo.py

bench: ## The figures of benchmarks/
	@sh scripts/setup.sh dev
	@.venv/bin/python scripts/bench.py

clean: ## Remove what was generated here; the cache outside the checkout stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find reports -mindepth 1 -maxdepth 1 ! -name README.md ! -name sample -exec rm -rf {} +
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
