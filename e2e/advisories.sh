#!/usr/bin/env bash
# Holds Cargo.lock against the advisories of RustSec, as far as their database can be had: it comes from outside the package registries. Where it
# cannot be fetched, the copy that an earlier run left is used, with its date; where there is none either, nothing is checked, and that is said.
#
#   e2e/advisories.sh CARGO-DENY
#
#   GODWIT_ADVISORIES=required   without a database this fails, instead of saying so (for machines that reach it, and for releases)
set -euo pipefail
deny=$1
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
databases=${CARGO_HOME:-$HOME/.cargo}/advisory-dbs

# When the newest copy of the database was fetched.
copied() {
  local found
  found=$(find "$databases" -mindepth 1 -maxdepth 1 -type d -printf '%TY-%Tm-%Td\n' 2>/dev/null | sort | tail -n 1)
  [[ -n $found ]] && printf '%s' "$found"
}

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
if timeout 120 "$deny" fetch db >"$log" 2>&1; then
  echo "advisories: the database was fetched just now"
elif date=$(copied); then
  echo "advisories: the database cannot be fetched here; the copy of $date is used"
else
  {
    echo "advisories: NOT CHECKED. Their database cannot be fetched here and no copy of it is there:"
    tail -n 2 "$log" | sed 's/^/  /'
    echo "  Nothing is known of this; where the database can be reached, make advisories tells."
  } >&2
  [[ ${GODWIT_ADVISORIES:-} != required ]]
  exit
fi
exec "$deny" --offline check advisories
