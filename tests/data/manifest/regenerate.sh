#!/bin/sh
# Writes what kubeadm makes of every case. usage: regenerate.sh 37=KUBEADM 36=KUBEADM, a kubeadm for the cases
# of each Kubernetes minor. Nothing outside this directory changes (dry-run).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for pair in "$@"; do
  minor=${pair%%=*} kubeadm=${pair#*=}
  for config in $(grep -l "^kubernetesVersion: v1\.$minor\." "$here"/*/config.yaml); do
    case=$(dirname "$config")
    scratch=$(mktemp -d)
    # An empty environment: kubeadm would copy its proxy variables into the pods.
    env -i PATH="$PATH" KUBEADM_INIT_DRYRUN_DIR="$scratch" \
      "$kubeadm" init --dry-run --skip-phases=preflight --config "$config" > "$scratch/log" 2>&1 ||
      { tail -5 "$scratch/log" >&2; exit 1; }
    for component in etcd kube-apiserver kube-controller-manager kube-scheduler; do
      # There is no etcd here when there is one elsewhere.
      [ ! -e "$scratch/$component.yaml" ] || cp "$scratch/$component.yaml" "$case/$component.yaml"
    done
    cp "$scratch/config.yaml" "$case/kubelet.yaml"
    cp "$scratch/instance-config.yaml" "$scratch/kubeadm-flags.env" "$case/"
    chmod 644 "$case"/*
    rm -rf "$scratch"
    echo "$case"
  done
done
