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
stage "layers" python tools/layers.py
((${#failed[@]} == 0)) || printf '== FAILED before pytest: %s\n' "${failed[*]}"

# Once more as on a processor without AVX-512: torch and oneDNN are held to AVX2, and with torch vlmprobe's own kernels.
# Left out is what no instruction set can change: texts, files, servers, statistics, reports, packaging. A new test file
# is in until its name is put here.
avx2=(env ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2)
any_cpu=(build_backend chat cli consumer data endpoint_runs forecast judges judgings kill labels layers ledger
  ledger_schema method_runs metrics_cells metrics_coverage metrics_intervals metrics_judged metrics_skills
  metrics_trends package paper_report project readme real_server reply_cache report reproduce run_directory sensitivity
  skips study_numbers text types)
if (($# == 0)); then
  printf '== AVX2 at most; without %s\n' "${any_cpu[*]}"
  stage "C++ tests with AVX2" "${avx2[@]}" ctest --preset check
  left_out=("${any_cpu[@]/#/--ignore=tests/python/test_}")
  stage "pytest with AVX2" "${avx2[@]}" python -m pytest --quiet "${left_out[@]/%/.py}"
fi

printf '== pytest\n'
python -m pytest "$@" || failed+=("pytest")
((${#failed[@]} == 0))
