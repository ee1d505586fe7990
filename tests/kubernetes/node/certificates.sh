# shellcheck shell=bash disable=SC2153
# The cluster's certificate authority (and one for extension API servers only), a certificate for each program, and the kubeconfigs that carry them.

authority() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=$NAME-$1" -keyout "$PKI/$1.key" -out "$PKI/$1.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

certificate() {
  local name=$1 subject=$2 names=${3:-} authority=${4:-ca}
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$subject" -keyout "$PKI/$name.key" -out "$PKI/$name.csr"
  openssl x509 -req -in "$PKI/$name.csr" -CA "$PKI/$authority.crt" -CAkey "$PKI/$authority.key" -CAcreateserial -days 3650 -out "$PKI/$name.crt" \
    -extfile <(echo "extendedKeyUsage=clientAuth,serverAuth" && echo "${names:+subjectAltName=$names}")
}

kubeconfig() {
  local name=$1 file=$2
  cat >"$file" <<EOF
apiVersion: v1
kind: Config
current-context: $NAME
contexts: [{name: $NAME, context: {cluster: $NAME, user: $name}}]
clusters:
  - name: $NAME
    cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}
users:
  - name: $name
    user: {client-certificate-data: $(base64 -w0 "$PKI/$name.crt"), client-key-data: $(base64 -w0 "$PKI/$name.key")}
EOF
}

# runs in a subshell: the kubeconfigs and keys are for the owner only, the umask for nothing else
create_certificates() {
  umask 077
  mkdir -p "$PKI"
  authority ca
  authority front-proxy-ca
  openssl ecparam -name prime256v1 -genkey -noout -out "$PKI/service-accounts.key"

  local service=DNS:kubernetes.default
  certificate kube-apiserver /CN=kube-apiserver \
    "DNS:localhost,DNS:kubernetes,$service,$service.svc,$service.svc.cluster.local,IP:127.0.0.1,IP:$NODE_IP,IP:$API_SERVICE_IP"
  certificate kube-apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet
  certificate front-proxy /CN=front-proxy "" front-proxy-ca
  certificate kube-controller-manager /CN=system:kube-controller-manager
  certificate kube-scheduler /CN=system:kube-scheduler
  certificate kubelet "/O=system:nodes/CN=system:node:$NAME" "DNS:$NAME,IP:$NODE_IP"
  certificate kube-proxy /CN=system:kube-proxy
  certificate coredns /CN=system:coredns
  certificate admin /O=system:masters/CN=admin

  local name
  for name in kube-controller-manager kube-scheduler kubelet kube-proxy coredns admin; do
    kubeconfig "$name" "$PKI/$name.kubeconfig"
  done
}
