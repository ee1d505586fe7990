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

# ticks STARTED – says every 20 seconds that the step goes on, and with what, until the script ends or kills it
ticks() {
  while sleep 20 && kill -0 "$$" 2>/dev/null; do
    printf '\n  … %s so far: %.100s ' "$(duration $((SECONDS - $1)))" "$(tail -n 1 "$STEP_LOG" 2>/dev/null)"
  done
}

# step TEXT COMMAND… – "TEXT … done in 5s"; what the command prints goes to $STEP_LOG and is shown if it fails
step() {
  local text=$1 started=$SECONDS status ticker
  shift
  printf '%s … ' "$text"
  : >"$STEP_LOG"
  ticks "$started" </dev/null 2>/dev/null &
  ticker=$!
  # as a condition, the command would run without errexit
  set +e
  (set -e && "$@") >"$STEP_LOG" 2>&1 </dev/null
  status=$?
  set -e
  # its sleep goes with it: it must not keep a pipe of the caller open
  pkill -P "$ticker" 2>/dev/null || true
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  if ((status == 0)); then
    say "done in $(duration $((SECONDS - started)))"
    return
  fi
  say "failed after $(duration $((SECONDS - started)))"
  printf 'last lines of %s:\n' "$STEP_LOG" >&2
  tail -n "${STEP_LINES:-20}" "$STEP_LOG" >&2
  exit 1
}
