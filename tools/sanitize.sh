#!/usr/bin/env bash
# The C++ tests under AddressSanitizer and UBSan, those of memory and models under ThreadSanitizer, then the fuzzers, each
# for a fixed number of inputs. Arguments choose: tools/sanitize.sh asan tsan fuzz. Installs Clang with libFuzzer.
set -uo pipefail
cd "$(dirname "$0")/.."

need_clang() {
  command -v clang++-16 >/dev/null && compgen -G "/usr/lib/llvm-16/lib/clang/16/lib/linux/libclang_rt.fuzzer-*.a" >/dev/null && return
  local as_root=""
  [[ $(id -u) == 0 ]] || as_root="sudo -n"
  $as_root apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends clang-16 libclang-rt-16-dev >/dev/null ||
    { echo "sanitize: the fuzzers need clang-16 and libclang-rt-16-dev" >&2; return 1; }
}

failed=()
for preset in "${@:-asan tsan fuzz}"; do
  for name in $preset; do
    printf '== %s\n' "$name"
    if [[ $name == fuzz ]] && ! need_clang; then failed+=("$name"); continue; fi
    cmake --workflow --preset "$name" || failed+=("$name")
  done
done
((${#failed[@]} == 0)) || { printf '== FAILED: %s\n' "${failed[*]}"; exit 1; }
