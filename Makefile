# make test checks everything, the same here and in CI. The first call sets the machine up (tools/setup.sh).
SHELL := bash
export VIRTUAL_ENV := $(CURDIR)/.venv
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport PYTHONHOME PYTHONPATH

.PHONY: help setup build test test-kill test-sanitize bench bench-build bench-record demo reproduce format clean

help:
	@echo "make setup    system packages (apt-get), .venv, pinned packages"
	@echo "make build    the library and the Python module, in place"
	@echo "make test     C++ build and tests, format, lint, pytest; ARGS='-k name' goes to pytest"
	@echo "make test-kill  100 training runs killed at random moments and resumed; KILLS=n"
	@echo "make test-sanitize  the C++ tests under AddressSanitizer, UBSan and ThreadSanitizer, then the fuzzers"
	@echo "make bench    beside TRL, Liger, FAISS, NumPy, vendi_score, one shape each; CASES=regex OUT=file MALLOC=kept"
	@echo "make bench-record   every shape and thread count"
	@echo "make demo     vlmprobe demo; ARGS='--calls 500' goes to it"
	@echo "make reproduce  vlmprobe reproduce; ARGS='--tables 1 --seed 0 1' goes to it"
	@echo "make format   clang-format and ruff, in place"
	@echo "make clean    remove the build folders; .venv stays"

setup:
	@tools/setup.sh

build: setup
	@cmake --preset check --log-level=WARNING
	@cmake --build --preset check --target _core

test: setup
	@tools/check.sh $(ARGS)

test-kill: build
	@VLMPROBE_KILLS=$(or $(KILLS),100) python -m pytest tests/python/run/test_kill.py -q -s

test-sanitize: setup
	@tools/sanitize.sh

BENCH_FLAGS = --cpp build/check/benchmarks/cpp $(if $(CASES),--cases '$(CASES)') $(if $(OUT),--out '$(OUT)') $(if $(MALLOC),--malloc $(MALLOC))

bench-build: setup
	@cmake --preset bench --log-level=WARNING
	@cmake --build --preset bench

bench: bench-build
	@python benchmarks/python/bench.py $(BENCH_FLAGS)

bench-record: bench-build
	@python benchmarks/python/bench.py --all $(BENCH_FLAGS)

demo: build
	@vlmprobe demo $(ARGS)

reproduce: build
	@vlmprobe reproduce $(ARGS)

format: setup
	@find . \( -name build -o -name '.?*' \) -prune -o \( -name '*.h' -o -name '*.cpp' \) -print0 | xargs -0 clang-format -i
	@ruff check --fix --quiet; ruff format --quiet

clean:
	@rm -rf build
