#!/usr/bin/env bash
# Runs as the first process of the node, in namespaces of its own: gives the node private directories where programs insist on
# fixed paths, then becomes the sandbox program, which reaps orphans until it is ended.
set -euo pipefail
RUN=$1 FIRST=$2

# The kubelet would set these for the whole machine; it finds them already as it wants them.
sysctls=(vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 kernel/keys/root_maxkeys=1000000
  kernel/keys/root_maxbytes=25000000)
for sysctl in "${sysctls[@]}"; do
  path=/proc/sys/${sysctl%=*} file=$RUN/sysctl/${sysctl%=*}
  [[ -e $path ]] || continue
  mkdir -p "$(dirname "$file")"
  echo "${sysctl#*=}" >"$file"
  mount --bind "$file" "$path"
done

mount --make-rshared /
for path in /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers; do
  mkdir -p "$RUN/private$path" "$path"
  mount --bind "$RUN/private$path" "$path"
done
mkdir -p "$RUN/private/run/netns" "$RUN/private/run/lock"
mount --bind "$RUN/private/run" /run
touch "$RUN/booted"
# which cluster's it is stands in its arguments
exec "$FIRST" "$RUN"
