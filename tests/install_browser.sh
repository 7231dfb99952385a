#!/bin/sh
# A browser for the tests of the page, from Debian's own packages. It never fails: where none can be had, those
# tests are skipped, and this says why. BROWSER_SECONDS bounds the time that it may take.
set -u

none() {
    echo "browser: none, so the tests of the page in a browser are skipped: $*"
    exit 0
}

for name in "${HOKUSAI_TEST_CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then
        echo "browser: $(command -v "$name")"
        exit 0
    fi
done
command -v apt-get >/dev/null || none "there is no apt-get"
[ "$(id -u)" -eq 0 ] || none "apt-get needs root"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
timeout --kill-after=5 "${BROWSER_SECONDS:-150}" sh -c '
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq || true; } &&
    apt-get install -qq --yes --no-install-recommends chromium fonts-dejavu-core' >"$log" 2>&1 </dev/null
code=$?
command -v chromium >/dev/null && [ "$code" -eq 0 ] && echo "browser: $(command -v chromium)" && exit 0
none "apt-get ended with $code: $(tail -n 1 "$log")"
