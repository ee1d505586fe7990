# shellcheck shell=bash
# What the components read, and what the API server is told first.

write_configuration() {
  mkdir -p "$CONFIG/cni"
  local plugins=/usr/lib/cni snapshotter=overlayfs
  [[ -x $plugins/ptp ]] || plugins=/opt/cni/bin
  # an overlay cannot lie on another one
  [[ $(stat --file-system --format=%T "$RUN") != overlayfs ]] || snapshotter=native

  # restrict_oom_score_adj: sandboxes die at birth where CAP_SYS_RESOURCE is missing
  cat >"$CONFIG/containerd.toml" <<EOF
version = 2
root = "$RUN/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$plugins"
    conf_dir = "$CONFIG/cni"
EOF

  # routed pods, not a bridge: replies of a service's pod then always pass kube-proxy's rules, with or without br_netfilter
  cat >"$CONFIG/cni/10-lanyard.conflist" <<EOF
{"cniVersion": "0.4.0", "name": "$NAME", "plugins": [
  {"type": "ptp", "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$PODS"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
EOF

  cat >"$CONFIG/kubelet.yaml" <<EOF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$PKI/ca.crt"}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet.crt
tlsPrivateKeyFile: $PKI/kubelet.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [$DNS_IP]
clusterDomain: cluster.local
resolvConf: /dev/null
cgroupDriver: cgroupfs
cgroupRoot: /$NAME
failCgroupV1: false
failSwapOn: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, nodefs.inodesFree: 1%, imagefs.available: 1%, imagefs.inodesFree: 1%}
# no registry brings a collected image back
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 200
serializeImagePulls: false
# a changed Secret reaches a running pod at the next round
syncFrequency: 5s
configMapAndSecretChangeDetectionStrategy: Watch
EOF

  cat >"$CONFIG/kube-proxy.yaml" <<EOF
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: "$PKI/kube-proxy.kubeconfig"}
clusterCIDR: $PODS
hostnameOverride: $NAME
conntrack: {maxPerCore: 0, min: 0}
EOF

  cat >"$CONFIG/Corefile" <<EOF
cluster.local in-addr.arpa ip6.arpa {
    bind $DNS_IP
    errors
    ready 127.0.0.1:8181
    kubernetes {
        kubeconfig $PKI/coredns.kubeconfig
        pods insecure
        ttl 5
    }
    cache 5
}
. {
    bind $DNS_IP
    template ANY ANY {
        rcode NXDOMAIN
    }
}
EOF

  cat >"$CONFIG/objects.yaml" <<EOF
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:coredns"}]
EOF
}
