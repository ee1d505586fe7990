# shellcheck shell=bash
# The levels of a check: each is run, shown and logged, and its failure is kept for the end.

LOGS=target/check
FAILED=()
mkdir -p "$LOGS"

# level NAME COMMAND… – runs a level
level() {
  "${@:2}" 2>&1 | tee "$LOGS/$1.log" && return
  FAILED+=("$1")
  return 1
}

# failed_tests LOG – the tests that a log of cargo test shows as failed
failed_tests() { sed -n 's/^---- \(.*\) stdout ----$/\1/p' "$1"; }

# summary – names what failed, and exits with 1 if something did
summary() {
  local name tests
  ((${#FAILED[@]})) || return 0
  printf '\nfailed:\n'
  for name in "${FAILED[@]}"; do
    tests=$(failed_tests "$LOGS/$name.log")
    while read -r test; do
      printf '  %-14s %s\n' "$name" "${test:+$test: }$LOGS/$name.log"
    done <<<"$tests"
  done
  exit 1
}
