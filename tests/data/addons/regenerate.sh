#!/bin/sh
# Writes the add-ons that kubeadm makes of every case. usage: regenerate.sh 37=KUBEADM 36=KUBEADM, a kubeadm for the
# cases of each Kubernetes minor. No cluster is needed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for pair in "$@"; do
  minor=${pair%%=*} kubeadm=${pair#*=}
  for config in $(grep -l "^kubernetesVersion: v1\.$minor\." "$here"/*/config.yaml); do
    for addon in coredns kube-proxy; do
      # An empty environment: kubeadm would copy its proxy variables into the pods.
      env -i PATH="$PATH" "$kubeadm" init phase addon "$addon" --print-manifest --config "$config" \
        > "$(dirname "$config")/$addon.yaml"
    done
  done
done
