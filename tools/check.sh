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
any_cpu=(cli/test_cli cli/test_compare cli/test_compare_endpoints cli/test_label cli/test_suites exports/test_formats
  exports/test_suite modes/test_compared review/test_choose review/test_label_page review/test_study run/test_frozen
  cli/test_probe_again cli/test_taxonomy data/test_ahead data/test_coco data/test_column_tables data/test_data
  data/test_draw data/test_opening data/test_text_tables ledger/test_ledger ledger/test_ledger_schema
  ledger/test_reply_cache methods/test_method_runs metrics/test_partitions modes/test_besides modes/test_concepts
  modes/test_exact modes/test_find modes/test_unseen taxonomy/test_clusters taxonomy/test_documents
  taxonomy/test_labelling taxonomy/test_operations taxonomy/test_recovery world/test_labeller probe/test_endpoint_bandit
  probe/test_own_answers metrics/test_metrics_cells metrics/test_metrics_coverage metrics/test_metrics_intervals
  metrics/test_metrics_judged metrics/test_metrics_skills metrics/test_metrics_trends models/test_chat
  models/test_forecast models/test_hostile_judging models/test_judges models/test_real_server probe/test_config
  probe/test_guards probe/test_own_models probe/test_page probe/test_probe_pictures probe/test_probe_runs
  probe/test_stops project/test_build_backend project/test_consumer project/test_examples project/test_house
  project/test_layers project/test_package project/test_project project/test_readme project/test_skips
  project/test_types report/test_comparison report/test_paper_figures report/test_hostile_pages report/test_in_browser
  report/test_live_view report/test_page_sizes report/test_run_questions report/test_paper_report report/test_reading
  report/test_report review/test_again review/test_people notebook/test_shown notebook/test_kernel run/test_trackers
  util/test_bar run/test_ahead run/test_endpoint_runs run/test_kill run/test_run_directory studies/test_reproduce
  studies/test_sensitivity studies/test_sensitivity_ledgers studies/test_study_numbers studies/test_modesbench
  studies/test_modesbench_numbers world/test_smaller test_text)
if (($# == 0)); then
  printf '== AVX2 at most; without %s\n' "${any_cpu[*]}"
  stage "C++ tests with AVX2" "${avx2[@]}" ctest --preset check
  left_out=()
  for name in "${any_cpu[@]}"; do
    [[ -f tests/python/$name.py ]] || failed+=("no test $name")
    left_out+=("--ignore=tests/python/$name.py")
  done
  stage "pytest with AVX2" "${avx2[@]}" python -m pytest --quiet "${left_out[@]}"
fi

printf '== pytest\n'
python -m pytest "$@" || failed+=("pytest")
((${#failed[@]} == 0))
