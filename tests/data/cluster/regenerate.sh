#!/bin/bash
# Writes objects.json anew: what the real `kubeadm init --upload-certs` puts into a cluster, from a run in a lab node.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
cargo test --test lab -- --ignored cluster::regenerate
