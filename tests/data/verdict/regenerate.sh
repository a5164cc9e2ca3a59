#!/bin/bash
# Writes kubeadm.tsv: what `kubeadm config validate` says of every file here, a column for each KUBEADM.
# usage: regenerate.sh KUBEADM... (one of each minor). Each runs without environment and network; that needs root.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# accepted, or kubeadm's first complaint on one line.
verdict() {
  local said
  if said=$(env -i PATH="$PATH" unshare --net "$1" config validate --config "$2" 2>&1 > /dev/null); then
    echo accepted
  else
    grep -v -e ' WARNING: ' -e '^To see the stack trace' <<< "$said" | sed "s|$here/||g; s|^[IWE][0-9].*\] ||" | grep . | head -1 |
      cut -c1-300 | tr '\t' ' ' | sed 's/^\(error: \)*/refused: /'
  fi
}

{
  printf file
  for kubeadm in "$@"; do printf '\t%s' "$("$kubeadm" version -o short)"; done
  printf '\n'
  for file in "$here"/*.yaml; do
    printf '%s' "$(basename "$file")"
    for kubeadm in "$@"; do printf '\t%s' "$(verdict "$kubeadm" "$file")"; done
    printf '\n'
  done
} > "$here/kubeadm.tsv.new"
mv "$here/kubeadm.tsv.new" "$here/kubeadm.tsv"
