#!/usr/bin/env bash
# Fetches what the site and its tests take from others, from the npm registry, unmodified, with their
# licences: Inter (OFL-1.1), the site's font; axe-core (MPL-2.0), which tests pages and is not shipped.
set -euo pipefail
cd "$(dirname "$0")/.."
inter=5.3.0 axe=4.14.1
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for package in "@fontsource-variable/inter@$inter" "axe-core@$axe"; do
  (cd "$work" && tar -xzf "$(npm pack --silent "$package")" --one-top-level="$(basename "$package")")
done
assets=leaderboard/hand_leaderboard/site/assets tests=tests/leaderboard/data/axe-core
mkdir -p "$tests"
cp "$work/inter@$inter/package/files/inter-latin-wght-normal.woff2" "$assets/inter-latin.woff2"
cp "$work/inter@$inter/package/LICENSE" "$assets/inter-LICENSE.txt"
cp "$work/axe-core@$axe/package/"{axe.min.js,LICENSE,LICENSE-3RD-PARTY.txt} "$tests/"
git --no-pager diff --stat -- "$assets" "$tests"
