#!/bin/sh
# setup.sh run|dev: makes .venv with the locked dependencies and the `clawdbox` command.
# What was made from the same inputs before is not made again (stamps in .venv).
set -eu

want=${1:-run}
python=${PYTHON:-python3}
cd "$(dirname "$0")/.."
# The answers of pip stay the same whatever a user's configuration asks of it.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_REQUIRE_VIRTUALENV=0 PIP_NO_INPUT=1
unset PIP_USER PIP_TARGET PIP_PREFIX PIP_CONSTRAINT PYTHONHOME PYTHONPATH 2>/dev/null || true

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "" "$@"
  exit 1
}

is_debian() { [ -r /etc/os-release ] && grep -Eq '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release; }

check_python() {
  command -v "$python" >/dev/null 2>&1 ||
    fail "clawdbox needs Python 3.11 or newer, and there is no $python." "On Debian and Ubuntu: apt-get install python3 python3-venv"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "clawdbox needs Python 3.11 or newer; $python is $("$python" --version 2>&1)." \
      "Name another one: make setup PYTHON=/path/to/python3.11"
}

# Debian and Ubuntu ship ensurepip, which puts pip into a new .venv, as a package of its own.
check_venv() {
  "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 && return
  package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
  if is_debian && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    say "Installing $package, which $python lacks"
    apt_install "$package" && return
  fi
  fail "$python cannot make virtual environments. On Debian and Ubuntu:" "  sudo apt-get install $package"
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 </dev/null || {
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null
  }
}

digest() { cat "$@" | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())'; }

# stamped NAME FILE…: whether .venv was already brought to these inputs.
stamped() {
  name=$1
  shift
  [ "$(cat ".venv/.stamp-$name" 2>/dev/null)" = "$(digest "$@")" ]
}

stamp() {
  name=$1
  shift
  digest "$@" >".venv/.stamp-$name"
}

install_locked() { .venv/bin/python -m pip install -qq --require-hashes --no-deps "$@"; }

check_python
# A .venv whose Python was upgraded or removed is of no use any more.
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c 'import pip' >/dev/null 2>&1; then
  check_venv
  say "Making .venv with $("$python" --version 2>&1)"
  "$python" -m venv --clear .venv
fi

if ! stamped run requirements/run.txt requirements/build.txt; then
  say "Installing the locked dependencies"
  install_locked -r requirements/run.txt -r requirements/build.txt
  stamp run requirements/run.txt requirements/build.txt
fi

if ! stamped project pyproject.toml || [ ! -x .venv/bin/clawdbox ]; then
  .venv/bin/python -m pip install -qq --no-index --no-deps --no-build-isolation -e .
  stamp project pyproject.toml
fi

if [ "$want" = dev ] && ! stamped dev requirements/dev.txt; then
  say "Installing the locked tools for checks and tests"
  install_locked -r requirements/dev.txt
  stamp dev requirements/dev.txt
fi
