# shellcheck shell=bash disable=SC2034
# The node's network: a namespace of its own and one cable to the machine. The machine reaches the node, its pods and its services;
# nothing of the cluster is forwarded or masqueraded beyond the machine, whose own rules stay untouched.

# choose_range – the first 10.N.0.0/16 that no route of this machine touches
choose_range() {
  local n routes
  for n in {173..199}; do
    RANGE=10.$n
    routes=$(ip -4 route show table all root "$RANGE.0.0/16" && ip -4 route show table all match "$RANGE.0.0/16")
    grep -qvE '^$|^([a-z]+ )?default( |$)' <<<"$routes" || return 0
  done
  fail "no free address range: every one of 10.173.0.0/16 … 10.199.0.0/16 has a route on this machine"
}

# addresses – where everything is, from the chosen range
addresses() {
  RANGE=$(<"$RUN/range")
  HOST_IP=$RANGE.0.1 NODE_IP=$RANGE.0.2
  PODS=$RANGE.64.0/20 SERVICES=$RANGE.128.0/18 API_SERVICE_IP=$RANGE.128.1 DNS_IP=$RANGE.128.10
}

create_network() {
  choose_range
  echo "$RANGE" >"$RUN/range"
  addresses
  ip netns add "$NAME"
  ip link add "$NAME" type veth peer name eth0 netns "$NAME"
  ip address add "$HOST_IP/24" dev "$NAME"
  ip link set "$NAME" up
  ip -n "$NAME" address add "$NODE_IP/24" dev eth0
  ip -n "$NAME" address add "$DNS_IP/32" dev lo
  ip -n "$NAME" link set lo up
  ip -n "$NAME" link set eth0 up
  ip -n "$NAME" route add default via "$HOST_IP"
  ip route add "$RANGE.0.0/16" via "$NODE_IP" dev "$NAME"
}

# end_strays – ends the processes of this cluster, told by their arguments, in another network namespace than ours: what is not on record,
# because a call was killed or target/ removed
end_strays() {
  local pid
  for pid in $(pgrep -f -- "$RUN(/| |\$)"); do
    [[ $(readlink "/proc/$pid/ns/net") == "$(readlink /proc/self/ns/net)" ]] || kill -KILL "$pid" 2>/dev/null || true
  done
}

remove_network() {
  end_strays
  if [[ -e /run/netns/$NAME ]]; then
    local others until=$((SECONDS + 15))
    # a process whose parent was killed is there until the machine's first process has noticed
    while others=$(ip netns pids "$NAME") && [[ -n $others ]]; do
      ((SECONDS < until)) || fail "network namespace $NAME is used by processes that are not of this checkout: ${others//$'\n'/ }"
      sleep 0.1
    done
    ip netns delete "$NAME"
  fi
  # the cable goes with the namespace, but some moments later
  ip link delete "$NAME" 2>/dev/null || true
}
