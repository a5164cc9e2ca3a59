#!/bin/sh
# Writes what Kubernetes makes of every case. usage: regenerate.sh KUBECTL. Every document of case/TARGET-NAME[+TYPE].yaml
# is applied in turn to object/TARGET.yaml; a result that says `refused: true` is a patch that kubectl refuses. The pod
# is what `kubekeel render` makes of ../manifest/extras/config.yaml. No server is asked.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
kubectl=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -f "$here"/result/*
for patch in "$here"/case/*.yaml; do
  name=$(basename "$patch" .yaml)
  case $name in *+*) type=${name#*+} ;; *) type=strategic ;; esac
  for object in "$here"/object/*.yaml; do
    case $name in "$(basename "$object" .yaml)"-*) cp "$object" "$scratch/object.yaml" ;; esac
  done
  rm -f "$scratch"/part.*
  awk -v part="$scratch/part." 'BEGIN { n = 10 } /^---$/ { n++; next } { print > (part n) }' "$patch"
  for part in "$scratch"/part.*; do
    if ! "$kubectl" patch --local -f "$scratch/object.yaml" --type "$type" --patch-file "$part" -o yaml \
      > "$scratch/patched.yaml" 2> "$scratch/error"; then
      echo "$name: $(head -1 "$scratch/error")"
      echo 'refused: true' > "$scratch/patched.yaml"
    fi
    mv "$scratch/patched.yaml" "$scratch/object.yaml"
  done
  mv "$scratch/object.yaml" "$here/result/$name.yaml"
done
