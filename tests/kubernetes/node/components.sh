# shellcheck shell=bash disable=SC2034
# The components in the order of need, each with the settings that differ from its defaults.

COMPONENTS=(containerd etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy coredns)

start_containerd() { start containerd containerd --config "$CONFIG/containerd.toml"; }

# the data lives as long as the cluster: no need to wait for the disk
start_etcd() { start etcd "$BIN/etcd" --data-dir "$RUN/etcd" --unsafe-no-fsync --log-level warn; }

start_kube_apiserver() {
  start kube-apiserver "$BIN/kube-apiserver" \
    --etcd-servers http://127.0.0.1:2379 \
    --advertise-address "$NODE_IP" \
    --service-cluster-ip-range "$SERVICES" \
    --authorization-mode Node,RBAC \
    --enable-admission-plugins NodeRestriction \
    --enable-aggregator-routing \
    --allow-privileged \
    --client-ca-file "$PKI/ca.crt" \
    --tls-cert-file "$PKI/kube-apiserver.crt" --tls-private-key-file "$PKI/kube-apiserver.key" \
    --kubelet-certificate-authority "$PKI/ca.crt" --kubelet-preferred-address-types InternalIP \
    --kubelet-client-certificate "$PKI/kube-apiserver-kubelet.crt" --kubelet-client-key "$PKI/kube-apiserver-kubelet.key" \
    --requestheader-client-ca-file "$PKI/front-proxy-ca.crt" --requestheader-allowed-names front-proxy \
    --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
    --requestheader-extra-headers-prefix X-Remote-Extra- \
    --proxy-client-cert-file "$PKI/front-proxy.crt" --proxy-client-key-file "$PKI/front-proxy.key" \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --service-account-key-file "$PKI/service-accounts.key" --service-account-signing-key-file "$PKI/service-accounts.key"
}

start_kube_controller_manager() {
  start kube-controller-manager "$BIN/kube-controller-manager" \
    --kubeconfig "$PKI/kube-controller-manager.kubeconfig" \
    --authentication-kubeconfig "$PKI/kube-controller-manager.kubeconfig" \
    --authorization-kubeconfig "$PKI/kube-controller-manager.kubeconfig" \
    --leader-elect=false \
    --use-service-account-credentials \
    --root-ca-file "$PKI/ca.crt" --service-account-private-key-file "$PKI/service-accounts.key" \
    --cluster-signing-cert-file "$PKI/ca.crt" --cluster-signing-key-file "$PKI/ca.key"
}

start_kube_scheduler() {
  start kube-scheduler "$BIN/kube-scheduler" \
    --kubeconfig "$PKI/kube-scheduler.kubeconfig" \
    --authentication-kubeconfig "$PKI/kube-scheduler.kubeconfig" \
    --authorization-kubeconfig "$PKI/kube-scheduler.kubeconfig" \
    --leader-elect=false
}

start_kubelet() {
  start kubelet "$BIN/kubelet" --config "$CONFIG/kubelet.yaml" --kubeconfig "$PKI/kubelet.kubeconfig" \
    --hostname-override "$NAME" --node-ip "$NODE_IP"
}

start_kube_proxy() { start kube-proxy "$BIN/kube-proxy" --config "$CONFIG/kube-proxy.yaml"; }

start_coredns() { start coredns "$BIN/coredns" -conf "$CONFIG/Corefile"; }

# The kubelet keeps its groups below one of ours, so that another kubelet of this machine never takes them for its own.
create_cgroup() {
  local hierarchy
  if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    # cgroup v2: a controller that does not exist is not needed
    for controller in cpu cpuset memory pids hugetlb io; do
      echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control || true
    done 2>/dev/null
    mkdir -p "/sys/fs/cgroup/$NAME"
    return
  fi
  for hierarchy in /sys/fs/cgroup/*/; do
    mkdir -p "$hierarchy$NAME"
  done
}

remove_cgroup() {
  local group try
  for group in "/sys/fs/cgroup/$NAME" /sys/fs/cgroup/*/"$NAME"; do
    [[ -d $group ]] || continue
    for try in {1..50}; do
      find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
      ((try < 50)) || fail "processes are left in the control group $group"
      sleep 0.1
    done
  done
}
