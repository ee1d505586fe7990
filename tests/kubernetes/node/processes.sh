# shellcheck shell=bash disable=SC2153
# The node's processes. They share one PID and mount namespace whose first process is the sandbox program: when that one
# ends, the kernel ends all others and drops every mount, so nothing can be left behind, whatever was killed before.
# A process on record is its id and its start time: an id alone may belong to another process by now.

# start_time PID – nothing if it has ended, reaped or not
start_time() { sed -n 's/.*) //; /^[^ZX]/p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

record() { echo "$2 $(start_time "$2")" >"$RUN/$1.pid"; }

pid_of() { cut -d' ' -f1 "$RUN/$1.pid" 2>/dev/null; }

alive() {
  local pid started
  read -r pid started 2>/dev/null <"$RUN/$1.pid" || return 1
  [[ -n $started && $(start_time "$pid") == "$started" ]]
}

# in_node COMMAND… – runs it in the node's namespaces
in_node() { nsenter --target "$(pid_of node)" --pid --mount --net -- "$@"; }

# start_node – makes the namespaces; node/boot.sh mounts what the node sees and becomes its first process
start_node() {
  setsid nsenter --net="/run/netns/$NAME" unshare --pid --fork --kill-child --mount --mount-proc --propagation private \
    bash "$HERE/node/boot.sh" "$RUN" "$BIN/pause" >"$LOGS/node.log" 2>&1 </dev/null 9>&- &
  local outer=$! first
  await node 10 "the node's namespaces" test -e "$RUN/booted"
  first=$(pgrep -P "$outer") || fail "the node's first process is gone: see $LOGS/node.log"
  record node "$first"
}

# start NAME COMMAND… – starts a component in the node, with a log of its own
start() {
  local name=$1
  shift
  ! alive "$name" || return 0
  setsid nsenter --target "$(pid_of node)" --pid --mount --net -- "$@" >>"$LOGS/$name.log" 2>&1 </dev/null 9>&- &
  record "$name" $!
}

# await COMPONENT SECONDS WHAT COMMAND… – until COMMAND succeeds; shows the component's last words if it does not
await() {
  local component=$1 limit=$2 what=$3 until
  shift 3
  until=$((SECONDS + limit))
  while ! "$@" >/dev/null 2>&1; do
    if [[ -e $RUN/$component.pid ]] && ! alive "$component"; then
      last_words "$component"
      fail "$component has ended while waiting for $what"
    fi
    if ((SECONDS >= until)); then
      last_words "$component"
      fail "$what: not there after ${limit}s"
    fi
    sleep 0.1
  done
}

last_words() {
  printf 'last lines of %s:\n' "$LOGS/$1.log" >&2
  tail -n 15 "$LOGS/$1.log" >&2 || true
}

gone() { ! alive "$1"; }

# end_node – ends every process of the node
end_node() {
  local file
  if alive node; then
    kill -KILL "$(pid_of node)"
    await_gone node
  fi
  for file in "$RUN"/*.pid; do
    [[ ! -e $file ]] || await_gone "$(basename "$file" .pid)"
  done
}

await_gone() {
  local until=$((SECONDS + 20))
  while alive "$1"; do
    ((SECONDS < until)) || fail "$1 (process $(pid_of "$1")) does not end"
    sleep 0.05
  done
}
