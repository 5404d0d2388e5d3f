#!/bin/sh
# test-deps.sh [freeze]: what the tests use for real, an OpenSSH server and two small ones, a Chromium, git for what
# the tree holds, rsync and curl for what runs over a control socket, strace for what a command really runs, BusyBox for
# what is asked of small servers, and what freezing the box takes. With `freeze` only that.
# Root on Debian and Ubuntu gets it installed; anyone else is told what to install.
set -eu
cd "$(dirname "$0")/.."
what=${1:-all}

has_sshd() { [ -x /usr/sbin/sshd ] || command -v sshd >/dev/null 2>&1; }

# Tells the small servers of another home than the user's own.
has_nss_wrapper() {
  for file in /usr/lib*/libnss_wrapper.so* /usr/lib/*/libnss_wrapper.so*; do
    [ ! -e "$file" ] || return 0
  done
  return 1
}

# Ubuntu's chromium-browser is a script that asks for a snap unless that is installed, so it has to answer.
has_browser() {
  for name in ${CLAWDBOX_TEST_BROWSER:-chromium chromium-browser google-chrome google-chrome-stable}; do
    command -v "$name" >/dev/null 2>&1 && "$name" --version >/dev/null 2>&1 </dev/null && return
  done
  return 1
}

# PyInstaller packs Python's shared library, which Debian keeps in a package of its own.
lacking_libpython() {
  .venv/bin/python - <<'PYTHON'
import ctypes, sys, sysconfig

name, folder = sysconfig.get_config_var("INSTSONAME"), sysconfig.get_config_var("LIBDIR")
for library in (name, f"{folder}/{name}"):
    try:
        ctypes.CDLL(library)
        break
    except OSError:
        continue
else:
    print(" libpython%d.%d" % sys.version_info[:2], end="")
PYTHON
}

# The Node in Playwright's package, which drives the browser, is linked to it.
lacking_libatomic() {
  for node in .venv/lib/python3*/site-packages/playwright/driver/node; do
    [ ! -x "$node" ] || "$node" --version >/dev/null 2>&1 || printf ' libatomic1'
  done
}

missing() {
  if [ "$what" = all ]; then
    has_sshd || printf ' openssh-server'
    has_browser || printf ' chromium'
    for name in git rsync curl strace busybox; do command -v "$name" >/dev/null 2>&1 || printf ' %s' "$name"; done
    { command -v dropbear || [ -x /usr/sbin/dropbear ]; } >/dev/null 2>&1 || printf ' dropbear-bin'
    { command -v tinysshd || [ -x /usr/sbin/tinysshd ]; } >/dev/null 2>&1 || printf ' tinysshd'
    has_nss_wrapper || printf ' libnss-wrapper'
    lacking_libatomic
  fi
  lacking_libpython
  { command -v strip && command -v objdump; } >/dev/null 2>&1 || printf ' binutils'
}

apt_install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 </dev/null || {
    apt-get update -qq </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null </dev/null
  }
}

packages=$(missing)
[ -n "$packages" ] || exit 0

if [ "$(id -u)" = 0 ] && grep -Eqs '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release && command -v apt-get >/dev/null 2>&1; then
  printf 'Installing%s for the tests\n' "$packages" >&2
  # shellcheck disable=SC2086  # a list of words
  apt_install $packages || true
  packages=$(missing)
  [ -n "$packages" ] || exit 0
fi

cat >&2 <<MESSAGE

This machine lacks what this needs:$packages
  Debian, Ubuntu:  sudo apt-get install$packages
  On Ubuntu chromium is a snap: sudo snap install chromium, or install Google's .deb of Chrome.
A browser elsewhere is named by CLAWDBOX_TEST_BROWSER=/path/to/chrome.
MESSAGE
exit 1
