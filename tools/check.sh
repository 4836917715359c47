#!/usr/bin/env bash
# Everything that has to hold, in one go: the C++ build and its tests, formatting, linting, then pytest. A stage that
# fails does not hide the later ones; pytest comes last, so that its summary is the last line.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()
stage() {
  local name=$1
  shift
  printf '== %s\n' "$name"
  "$@" || failed+=("$name")
}

clang_format() {
  find . \( -name build -o -name '.?*' \) -prune -o \( -name '*.h' -o -name '*.cpp' \) -print0 | xargs -0 clang-format "$@"
}

stage "C++ build and tests" cmake --workflow --preset check
stage "clang-format" clang_format --dry-run --Werror
stage "ruff format" ruff format --check --quiet
stage "ruff" ruff check --quiet
((${#failed[@]} == 0)) || printf '== FAILED before pytest: %s\n' "${failed[*]}"

printf '== pytest\n'
python -m pytest "$@" || failed+=("pytest")
((${#failed[@]} == 0))
