# shellcheck shell=bash
# Image stores: containerd's data directory with the images of one minor, filled once and cloned into every node.

# import_images SOCKET MINOR: imports the images of one minor through a running containerd.
import_images() {
  local archive
  for archive in $(archives "$2"); do
    quietly "$LAB/bin/tools/ctr" -a "$1" -n k8s.io images import --local "$archive" || return
  done
}

# archives MINOR|addons: the image archives of a control plane, or those of the add-ons of 1.37, which few nodes need.
archives() {
  local component etcd="etcd-3.7"
  [ "$1" != addons ] || { printf '%s\n' "$LAB"/images/{coredns,kube-proxy-1.37}.tar; return; }
  [ "$1" != 1.36 ] || etcd="etcd-3.6"
  for component in pause "$etcd" kube-{apiserver,controller-manager,scheduler}-"$1"; do echo "$LAB/images/$component.tar"; done
}

# clone_images MINOR TARGET: the minor's store as a node's own, after filling the store if the images are new.
clone_images() {
  local minor=$1 dir archive lock began=$SECONDS
  dir=$LAB/stores/$minor-$(for archive in $(archives "$minor"); do tar -xOf "$archive" ./manifest.json; done | sha256sum | cut -c1-16)
  mkdir -p "$LAB/stores"
  exec {lock}> "$LAB/stores/.lock"
  flock "$lock"
  if [ ! -d "$dir" ]; then
    say "unpacking the images of $minor ..."
    rm -rf "$LAB/stores/$minor-"* "$LAB/stores/new"
    mkdir "$LAB/stores/new"
    fill_store "$LAB/stores/new" "$minor" || { tail -5 "$LAB/stores/log" >&2; return 1; }
    mv "$LAB/stores/new" "$dir"
    say "unpacked  the images of $minor in $((SECONDS - began)) s"
  fi
  clone_store "$dir" "$2"
  exec {lock}>&-
}

# fill_store DIR MINOR: runs a containerd of its own, without CRI, until the images are in.
fill_store() {
  local dir=$1 minor=$2 socket=$LAB/stores/sock pid status=0
  cat > "$LAB/stores/config.toml" <<TOML
version = 3
root = "$dir"
state = "$LAB/stores/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
  address = "$socket"
TOML
  # The mount namespace keeps the mounts of unpacking away from the machine.
  unshare --mount --propagation private "$LAB/bin/tools/containerd" -c "$LAB/stores/config.toml" \
    > "$LAB/stores/log" 2>&1 < /dev/null {lock}>&- &
  pid=$!
  await 20 "$LAB/bin/tools/ctr" -a "$socket" version > /dev/null && import_images "$socket" "$minor" || status=1
  kill "$pid" && wait "$pid" 2>/dev/null || true
  rm -rf "$LAB/stores/state" "$socket"*
  return "$status"
}

# clone_store DIR TARGET: image blobs and unpacked layers are never written in place, so links to them are enough (and all
# nodes share their pages in memory); the rest is copied.
clone_store() {
  local from=$1 to=$2 part
  local blobs=io.containerd.content.v1.content/blobs layers=io.containerd.snapshotter.v1.overlayfs/snapshots
  mkdir -p "$to"
  tar -C "$from" --exclude="./$blobs" --exclude="./$layers" -cf - . | tar -C "$to" -xpf -
  for part in "$blobs" "$layers"; do
    [ ! -e "$from/$part" ] || { mkdir -p "$to/${part%/*}"; cp -al "$from/$part" "$to/$part"; }
  done
}
