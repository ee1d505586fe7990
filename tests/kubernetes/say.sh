# shellcheck shell=bash
# How every script here talks: one line a step, with its time; errors on stderr.

say() { printf '%s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# 131 → 2m11s
duration() {
  local seconds=$1
  if ((seconds < 60)); then printf '%ds' "$seconds"; else printf '%dm%02ds' $((seconds / 60)) $((seconds % 60)); fi
}

# step TEXT COMMAND… – "TEXT … done in 5s"; what the command prints goes to $STEP_LOG and is shown if it fails
step() {
  local text=$1 started=$SECONDS status
  shift
  printf '%s … ' "$text"
  # as a condition, the command would run without errexit
  set +e
  (set -e; "$@") >"$STEP_LOG" 2>&1 </dev/null
  status=$?
  set -e
  if ((status == 0)); then
    say "done in $(duration $((SECONDS - started)))"
    return
  fi
  say "failed after $(duration $((SECONDS - started)))"
  printf 'last lines of %s:\n' "$STEP_LOG" >&2
  tail -n 20 "$STEP_LOG" >&2
  exit 1
}
