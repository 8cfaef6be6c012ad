#!/bin/sh
# Installs Debian's Chromium for the browser tests unless one is there. Where it cannot be had, the tests skip and say so.
set -u

[ -z "${SERINUS_CHROMIUM:-}" ] || exit 0
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
command -v apt-get >/dev/null || exit 0

as_root=$([ "$(id -u)" = 0 ] || echo sudo -n) # -n: it asks for no password in the middle of a run
export DEBIAN_FRONTEND=noninteractive
install() { $as_root apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core fonts-liberation >/dev/null; }
echo "Installing Chromium for tests/browser"
install 2>/dev/null || { $as_root apt-get update -qq && install; } || echo "Chromium could not be installed" >&2
