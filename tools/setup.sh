#!/usr/bin/env bash
# Sets up everything that building and testing need: system packages, .venv with pinned packages, a link to python/.
# Nothing outside the checkout changes but the system packages. The second call is a comparison of two checksums.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }

stamp=.venv/.vlmprobe-setup
inputs=$(cat requirements/*.txt pyproject.toml build_backend/*.py tools/setup.sh | cksum)
if [[ -x .venv/bin/vlmprobe && -f $stamp && $(<"$stamp") == "$inputs" ]] && .venv/bin/python -c pass 2>/dev/null; then
  exit 0
fi

# The first Python that is 3.10 or newer; PYTHON=... chooses another.
find_python() {
  local name
  for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      "$name" -c 'import sys; print(sys.executable)'
      return
    fi
  done
}

python_is_complete() {
  "$1" - 2>/dev/null <<'PY'
import ensurepip, os, sysconfig, venv
raise SystemExit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))
PY
}

# Prints the Debian packages that are missing, told by what they bring, so that other sources of the same will do.
missing_packages() {
  local python=$1
  command -v g++ >/dev/null || echo g++
  command -v cmake >/dev/null || echo cmake
  command -v ninja >/dev/null || echo ninja-build
  [[ -e /usr/include/eigen3/Eigen/Core || -e /usr/local/include/eigen3/Eigen/Core ]] || echo libeigen3-dev
  [[ -e /usr/include/nlohmann/json.hpp || -e /usr/local/include/nlohmann/json.hpp ]] || echo nlohmann-json3-dev
  [[ -e /usr/include/doctest/doctest.h || -e /usr/local/include/doctest/doctest.h ]] || echo doctest-dev
  if [[ -z $python ]]; then
    echo python3 python3-venv python3-dev
  elif ! python_is_complete "$python"; then
    "$python" -c 'import sys; v = "python%d.%d" % sys.version_info[:2]; print(v + "-venv", v + "-dev")'
  fi
}

# The build does without these: FAISS and Highway have fallbacks, the chat client needs libcurl, ccache saves time; tests
# of pages need a browser.
missing_optional() {
  [[ -e /usr/include/faiss/IndexFlat.h || -e /usr/local/include/faiss/IndexFlat.h ]] || echo libfaiss-dev libopenblas-dev
  [[ -e /usr/include/hwy/highway.h || -e /usr/local/include/hwy/highway.h ]] || echo libhwy-dev
  [[ -e /usr/include/curl/curl.h || -e /usr/local/include/curl/curl.h || -n $(compgen -G '/usr/include/*/curl/curl.h') ]] ||
    echo libcurl4-openssl-dev
  command -v ccache >/dev/null || echo ccache
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || echo chromium
  [[ -e /usr/include/benchmark/benchmark.h || -e /usr/local/include/benchmark/benchmark.h ]] || echo libbenchmark-dev
}

python=$(find_python)
required=$(missing_packages "$python" | xargs)
optional=$(missing_optional | xargs)

as_root=""
if [[ $(id -u) != 0 ]]; then as_root="sudo -n"; fi
if [[ -n $required$optional ]]; then
  line="apt-get update && apt-get install -y --no-install-recommends $required $optional"
  if command -v apt-get >/dev/null && { [[ -z $as_root ]] || $as_root true 2>/dev/null; }; then
    say "system packages: $required $optional"
    export DEBIAN_FRONTEND=noninteractive
    $as_root apt-get update -qq || say "apt-get update failed; going on with the package lists that are here"
    # shellcheck disable=SC2086
    $as_root apt-get install -y -qq --no-install-recommends $required $optional >/dev/null ||
      { say "not all of them are to be had; trying without the optional ones: $optional"
        [[ -z $required ]] || $as_root apt-get install -y -qq --no-install-recommends $required >/dev/null; }
  elif [[ -n $required ]]; then
    fail "system packages are missing, and there is neither root nor passwordless sudo to install them. Run this once:" \
      "  sudo sh -c '$line'"
  else
    say "optional system packages are missing ($optional); the build goes on without them"
  fi
fi

python=$(find_python)
[[ -n $python ]] || fail "expected Python >= 3.10, found $(python3 --version 2>&1 || echo none); name another with PYTHON=..."
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  say "creating .venv with $("$python" --version)"
  "$python" -m venv --clear .venv
fi

say "installing the pinned packages of requirements/ci.txt"
unset PYTHONPATH PYTHONHOME
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
pip install --quiet -r requirements/ci.txt
# Liger would ask for Triton, which the CPU build of torch does without: its own code only.
pip install --quiet --no-deps -c requirements/constraints.txt liger-kernel
if pip list --format=freeze | grep -i '^nvidia-'; then
  fail "expected the CPU build of torch, but the packages above came along: the index serves a CUDA build by default." \
    "Remove .venv and give pip an index with CPU builds (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL), then try again."
fi
pip install --quiet --no-build-isolation --no-deps --editable .
printf '%s' "$inputs" >"$stamp"
say "done: $(.venv/bin/python -c 'import importlib.metadata as m; print("torch", m.version("torch"))'), .venv is ready"
