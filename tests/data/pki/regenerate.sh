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
  "$kubeadm" init phase kubeconfig all --config "$work/config.yaml" --kubeconfig-dir "$work/$algorithm" > /dev/null
  rm -rf "$algorithm"
  cp -r "$work/$algorithm" "$algorithm"
  find "$algorithm" -type f -exec chmod 644 {} +
done
