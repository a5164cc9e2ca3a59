#!/bin/bash
# Makes the fixtures with a real kubeadm. usage: regenerate.sh KUBEADM. The keys are for tests only and guard nothing.
set -euo pipefail
kubeadm=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for algorithm in RSA-2048 ECDSA-P256; do
  cat > "$work/config.yaml" <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.10}
nodeRegistration: {name: keel-1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.2
certificatesDir: $work/$algorithm
encryptionAlgorithm: $algorithm
YAML
  "$kubeadm" init phase certs all --config "$work/config.yaml" > /dev/null
  "$kubeadm" init phase kubeconfig admin --config "$work/config.yaml" --kubeconfig-dir "$work/$algorithm" > /dev/null
  mkdir -p "$algorithm/etcd"
  for file in ca.crt ca.key apiserver.crt apiserver.key apiserver-kubelet-client.crt etcd/ca.crt etcd/server.crt sa.key sa.pub admin.conf; do
    cp "$work/$algorithm/$file" "$algorithm/$file"
  done
done
