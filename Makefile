# Everything happens in .venv and build/; `make` alone shows what there is.

PYTHON ?= python3
ARGS ?=
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -qq

# What the wheel is made of. The list is kept in a file that changes with it, so that a deleted file is noticed too.
SOURCES := $(sort $(shell find fastnn csrc -type f \( -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.inc' \
    -o -name '*.h' -o -path 'csrc/*.c' -o -name py.typed \)) pyproject.toml setup.py README.md LICENSE)

.DELETE_ON_ERROR:
.PHONY: help demo test build bench ladders lint format sanitize clean FORCE

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(VENV)/installed-demo ## build, train on Fashion-MNIST, show the program that ran
	$(VENV)/bin/fastnn demo $(ARGS)

# On all cores (up to four), where pytest-xdist is installed: ARGS="-n 0" for one process.
SIDE_BY_SIDE = $(shell $(PY) -c 'import xdist; print("-n auto --maxprocesses 4 --dist worksteal")' 2>/dev/null)

test: $(VENV)/installed-test ## all tests and examples, against the installed wheel (ARGS="-k files -x" for pytest)
	@if [ -x $(VENV)/bin/ruff ]; then $(VENV)/bin/ruff check -q .; elif command -v ruff >/dev/null; then ruff check -q .; fi
	$(call check,build/check,$(VENV),$(SIDE_BY_SIDE) tests --pyargs fastnn)

build: $(VENV)/made ## source archive and wheel into dist/
	$(PIP) install build
	$(PY) -m build --outdir dist . >build/build.log || { tail -n 40 build/build.log; exit 1; }
	@ls -l dist

bench: $(VENV)/installed-bench ## measure (ARGS are those of benchmarks/run.py)
	$(PY) benchmarks/run.py $(ARGS)

ladders: $(VENV)/installed-bench ## kernels from naive to fast, rung by rung (ARGS are those of benchmarks/ladders/run.py)
	$(PIP) install 'cython>=3.1' 'matplotlib>=3.8'
	$(PY) benchmarks/ladders/run.py $(ARGS)

lint: $(VENV)/tool-ruff ## what a machine can say about style
	$(VENV)/bin/ruff check .

format: $(VENV)/tool-ruff ## let the machine set style right, in Python and (with clang-format) in C
	$(VENV)/bin/ruff check -q --fix .
	$(VENV)/bin/ruff format .
	if command -v clang-format >/dev/null; then clang-format -i $$(find csrc -name '*.[ch]' -o -name '*.inc'); fi

sanitize: $(VENV)/installed-test ## kernel tests with AddressSanitizer and UBSan (GCC)
	$(PIP) install 'cython>=3.1' 'setuptools>=77'
	CC=gcc FASTNN_SANITIZE=1 $(PY) setup.py -q build --build-base build/asan-base --build-lib build/asan
	$(call check,build/asan-check,build/asan,tests/test_package.py tests/kernels,PYTHONPATH="$(CURDIR)/build/asan" PYTHONMALLOC=malloc \
	    LD_PRELOAD="$$(gcc -print-file-name=libasan.so)" ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1)

clean: ## remove everything that make made, .venv too
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis $(VENV)
	find fastnn tests -name __pycache__ -prune -exec rm -rf {} +
	rm -f fastnn/kernels/native/*.so fastnn/kernels/native/*.c

# $(call check,folder,where fastnn must be,pytest's arguments,environment): run tests from a copy of tests/ that has no
# fastnn beside it, so that what is tested is what was installed; tests/test_package.py makes sure of it. The Cython
# sources go along as text, for tests/kernels/test_slots.py; the ladders, their pages and the C that they include go
# along for tests/benchmarks.
define check
@rm -rf $(1)/tests $(1)/sources $(1)/benchmarks $(1)/csrc $(1)/docs $(1)/examples && mkdir -p $(1)/sources
@cp -R tests benchmarks csrc docs examples pyproject.toml $(1)/
@cp fastnn/kernels/native/*.pyx $(1)/sources/
cd $(1) && env -u PYTHONPATH FASTNN_TEST_INSTALLED="$(CURDIR)/$(2)" $(4) "$(CURDIR)/$(PY)" -m pytest -q $(3) $(ARGS)
endef

$(VENV)/made:
	$(PYTHON) -m venv $(VENV)
	@mkdir -p build && touch $@

build/sources: FORCE
	@mkdir -p build
	@echo '$(SOURCES)' | cmp -s - $@ || echo '$(SOURCES)' >$@

# build/lib* would carry files that are no longer there into the wheel.
build/wheel/made: build/sources $(SOURCES) | $(VENV)/made
	@rm -rf build/lib* build/bdist* build/wheel
	$(PIP) wheel --no-deps -w build/wheel .
	@touch $@

$(VENV)/installed-%: build/wheel/made
	$(PIP) install --force-reinstall --no-deps build/wheel/*.whl
	$(PIP) install "$$(ls build/wheel/*.whl)[$*]"
	@touch $@

$(VENV)/tool-%: $(VENV)/made
	$(PIP) install $*
	@touch $@
