# `make run` starts everything; `make test` runs the whole suite.
# `make proof` runs the tests that take long by nature: images, poolers, chaos, bench.
# `make newest` runs the suite on the newest Django, by the Python that NEWEST names.
# `make bench` shows the speed beside that of others; ARGS="--quick" takes minutes.
# `make chaos` breaks everything and counts what that cost; ARGS="--quick" is short.
# `make lint` checks style, imports and security, `make types` the types.
# `make lock` writes every requirements.txt anew from the requirements.in beside it.
# `make messages` brings the translations up to date with the texts of the code.
# `make sbom` lists what the site installs, as CycloneDX; `make audit` checks it.
# `make release` builds the wheels and sdists of the router and of its client, with notes.
# `make clean` deletes .venv and var/, the database of `make run` with it.
# `PORT=9000 make run` chooses the port, `make test ARGS="-k name"` narrows the tests.

LOCKS = requirements requirements-routers tests/requirements benchmarks/requirements \
	tests/newest tests/servers/client_generator tests/servers/caddy \
	docs/examples/requirements
NEWEST ?= python3.13
# requirements-routers.txt has the libraries of Kafka, RabbitMQ, AWS and Google too.
REQUIREMENTS ?= requirements.txt
SBOM ?= var/sbom.cdx.json
RELEASE ?= dist
# What is built: the last commit, and never what nobody else can have.
TREE ?= HEAD
PYTHONS = python3 python3.14 python3.13 python3.12 python3.11
RECENT = import sys; sys.exit(sys.version_info < (3, 11))

.PHONY: run test proof newest bench chaos lint types lock sbom audit release clean runtime tools

run: runtime
	@test -f var/local.env \
		|| { umask 077 && mkdir -p var && echo DEBUG=true > var/local.env; } 2>/dev/null \
		|| { echo "make run: var/ cannot be written to; make it writable." >&2; exit 2; }
	@exec .venv/bin/python manage.py up

test: tools
	@exec .venv/bin/python -m tests.run $(ARGS)

proof: tools
	@exec .venv/bin/python -m tests.run --proof $(ARGS)

newest:
	@test -x var/newest/bin/python || $(NEWEST) -m venv var/newest
	@for lock in tests/requirements tests/newest; do \
		var/newest/bin/python -m pip install --quiet --disable-pip-version-check \
			--require-hashes -r $$lock.txt || exit; \
	done
	@exec var/newest/bin/python -m tests.run $(ARGS)

bench: tools
	@exec .venv/bin/python -m benchmarks $(ARGS)

chaos: tools
	@exec .venv/bin/python -m tests.chaos $(ARGS)

lint: tools
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	@# Bandit warns of each part of a text whose other part a `nosec` is for.
	.venv/bin/python -m bandit --quiet --configfile pyproject.toml --recursive . 2>&1 \
		| { ! grep -v "but no failed test"; }
	.venv/bin/python -c "from importlinter.cli import lint_imports_command as lint; lint()"

types: tools
	DEBUG=true .venv/bin/python -m mypy

# Versions stay as they are, but ARGS="--upgrade-package django" raises one.
lock: tools
	@for name in $(LOCKS); do \
		.venv/bin/python -m uv pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --no-strip-extras --custom-compile-command "make lock" $(ARGS) \
			$$name.in --output-file $$name.txt || exit; \
	done

messages: tools
	@DEBUG=true .venv/bin/python -m tests.catalogues

sbom: tools
	@mkdir -p "$(dir $(SBOM))"
	@.venv/bin/python -m cyclonedx_py requirements $(REQUIREMENTS) \
		--pyproject pyproject.toml --output-reproducible --of JSON -o "$(SBOM)"
	@echo "$(SBOM)"

audit: tools
	@.venv/bin/python -m tests.known_vulnerabilities

# A build leaves folders behind, so it gets a copy.
release: tools
	@set -e; source=$$(mktemp -d); trap 'rm -rf "$$source"' EXIT; \
	git diff --quiet HEAD || [ "$(TREE)" != HEAD ] \
		|| { echo "make release: there are changes that are not committed." >&2; exit 2; }; \
	git archive $(TREE) | tar -x -C "$$source"; \
	version=$$(sed -n 's/^version = "\(.*\)"/\1/p' "$$source/pyproject.toml"); \
	rm -rf "$(RELEASE)"; mkdir -p "$(RELEASE)"; \
	awk -v version="$$version" '/^## /{is_it = $$2 == version; next} is_it' \
		"$$source/CHANGELOG.md" > "$(RELEASE)/NOTES.md"; \
	[ -s "$(RELEASE)/NOTES.md" ] \
		|| { echo "make release: CHANGELOG.md has no section \"## $$version\"." >&2; exit 2; }; \
	cp "$$source/LICENSE" "$$source/router/client/"; \
	export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct); \
	for part in "$$source" "$$source/router/client"; do \
		.venv/bin/python -m build --outdir "$(RELEASE)" "$$part" > /dev/null; \
	done; \
	ls "$(RELEASE)"

clean:
	rm -rf .venv var .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

runtime:
	@$(call install,$(REQUIREMENTS))

tools:
	@$(call install,tests/requirements.txt)

pip_install = .venv/bin/python -m pip install --quiet --disable-pip-version-check \
	--no-compile --require-hashes -r $(1)

# uv installs the same lock for a fifth of pip's processor time. It reads no settings of
# pip: where these name an index, or where uv fails, pip installs everything.
uv_install = { grep -q "^uv==" $(1) \
	&& ! .venv/bin/python -m pip config list | grep -qE "[.](index-url|no-index)=" \
	&& sed -n "/^uv==/,/^ *\#/p" $(1) > .venv/uv.txt \
	&& $(call pip_install,.venv/uv.txt) \
	&& .venv/bin/python -m uv pip install --quiet --python .venv/bin/python \
		--require-hashes -r $(1) 2> /dev/null; }

# $(1): the lock to install. Makes .venv where there is none that works; asks pip only
# when the lock differs from what it last saw. Most of what it installs is never imported:
# Python compiles the rest when it is.
define install
	set -e; \
	if ! .venv/bin/python -c 'import pip; $(RECENT)' 2>/dev/null; then \
		chosen=; recent=; \
		for python in $(PYTHONS); do \
			$$python -c '$(RECENT)' 2>/dev/null || continue; \
			recent=$$python; \
			$$python -c 'import ensurepip, venv' 2>/dev/null || continue; \
			chosen=$$python; break; \
		done; \
		if [ -z "$$recent" ]; then \
			echo "Fanfare needs Python 3.11 or newer: install it and try again." >&2; exit 2; \
		elif [ -z "$$chosen" ]; then \
			echo "$$recent lacks venv: on Debian or Ubuntu, apt-get install python3-venv" >&2; exit 2; \
		fi; \
		echo "Making .venv with $$chosen ..."; \
		rm -rf .venv; $$chosen -m venv .venv; \
	fi; \
	if ! cmp -s $(1) .venv/installed-$(notdir $(1:%/requirements.txt=%)); then \
		echo "Installing $(1) (the first time takes a minute) ..."; \
		$(call uv_install,$(1)) || $(call pip_install,$(1)); \
		cp $(1) .venv/installed-$(notdir $(1:%/requirements.txt=%)); \
	fi
endef
