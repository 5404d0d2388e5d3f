#!/bin/sh
# The programs that the tests use for real: an OpenSSH server, a Chromium, git for what the tree holds,
# and binutils for freezing the box.
# Root on Debian and Ubuntu gets them installed; anyone else is told what to install.
set -eu

has_sshd() { [ -x /usr/sbin/sshd ] || command -v sshd >/dev/null 2>&1; }

# Ubuntu's chromium-browser is a script that asks for a snap unless that is installed, so it has to answer.
has_browser() {
  for name in ${CLAWDBOX_TEST_BROWSER:-chromium chromium-browser google-chrome google-chrome-stable}; do
    command -v "$name" >/dev/null 2>&1 && "$name" --version >/dev/null 2>&1 </dev/null && return
  done
  return 1
}

missing() {
  has_sshd || printf ' openssh-server'
  has_browser || printf ' chromium'
  command -v git >/dev/null 2>&1 || printf ' git'
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

The tests need what this machine lacks:$packages
  Debian, Ubuntu:  sudo apt-get install$packages
  On Ubuntu chromium is a snap: sudo snap install chromium, or install Google's .deb of Chrome.
A browser elsewhere is named by CLAWDBOX_TEST_BROWSER=/path/to/chrome.
MESSAGE
exit 1
