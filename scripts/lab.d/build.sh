# shellcheck shell=bash
# The components of the lab: built once from the Go module proxy, kept in $LAB/bin.
#
# A component's directory under tests/lab/components pins its sources (go.mod, go.sum); its fingerprint decides
# whether a kept binary is still the right one, so that a warm cache costs nothing.

components=$root/tests/lab/components

# build_module NAME OUT PACKAGE...: builds the packages of one pinned module into $LAB/bin/OUT.
build_module() {
  local name=$1 out=$LAB/bin/$2 pkg target stamp began; shift 2
  local dir=$components/$name ldflags="-s -w" version goversion
  goversion=$(go env GOVERSION)
  version=$(release "$name")
  if [ -n "$version" ]; then
    # Without a stamped version a kubelet calls itself v0.0.0 and the version skew checks refuse it.
    local x minor=${version#v1.}
    for x in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
      ldflags="$ldflags -X $x.gitVersion=$version -X $x.gitMajor=1 -X $x.gitMinor=${minor%%.*} -X $x.gitTreeState=clean"
      ldflags="$ldflags -X $x.gitCommit=0000000000000000000000000000000000000000 -X $x.buildDate=2026-01-01T00:00:00Z"
    done
  fi
  mkdir -p "$out" "$LAB/stamps"
  for pkg in "$@"; do
    target=${pkg#*=} pkg=${pkg%%=*}
    [ "$target" != "$pkg" ] || target=${pkg##*/}
    # What a binary is made of: the pinned modules, how it is linked, and its own source if that is here.
    stamp=$({ cat "$dir"/go.{mod,sum}; echo "$ldflags"; [[ $pkg != ./* ]] || cat "$dir/$pkg"/*.go; } | sha256sum | cut -c1-16)-$goversion
    [ "$(cat "$LAB/stamps/$name.$target" 2>/dev/null)" = "$stamp" ] && [ -x "$out/$target" ] && continue
    began=$SECONDS
    say "building $name/$target ..."
    (cd "$dir" && CGO_ENABLED=0 GOFLAGS=-mod=readonly go build -trimpath -buildvcs=false \
      -tags no_btrfs,no_devmapper,no_zfs -ldflags "$ldflags" -o "$out/.$target.new" "$pkg")
    # Running nodes keep the file that they have open.
    mv "$out/.$target.new" "$out/$target"
    echo "$stamp" > "$LAB/stamps/$name.$target"
    say "built    $name/$target in $((SECONDS - began)) s"
  done
}

build_kubernetes() { # MINOR
  local p=k8s.io/kubernetes/cmd
  build_module "kubernetes-$1" "$1" $p/kubelet $p/kube-apiserver $p/kube-controller-manager $p/kube-scheduler \
    $p/kube-proxy $p/kubectl $p/kubeadm
}

build_tools() {
  local containerd=github.com/containerd/containerd/v2/cmd cni=github.com/containernetworking/plugins/plugins
  build_module etcd-3.7 tools go.etcd.io/etcd/server/v3=etcd-3.7.0-0 go.etcd.io/etcd/etcdutl/v3=etcdutl-3.7.0-0
  build_module etcd-3.6 tools go.etcd.io/etcd/server/v3=etcd-3.6.8-0 go.etcd.io/etcd/etcdutl/v3=etcdutl-3.6.8-0
  build_module containerd tools $containerd/containerd $containerd/containerd-shim-runc-v2 $containerd/ctr
  build_module cni tools $cni/main/bridge $cni/main/loopback $cni/ipam/host-local $cni/meta/portmap
  build_module coredns tools ./coredns=coredns
}

# The kubelet's own reader of manifests as a program, to ask what it makes of a file.
build_oracle() { build_module kubernetes-1.37 tools ./kubelet-oracle; }

build_pause() {
  [ -x "$LAB/bin/tools/pause" ] && [ "$LAB/bin/tools/pause" -nt "$root/tests/lab/pause.c" ] && return
  cc -static -Os -s -o "$LAB/bin/tools/pause" "$root/tests/lab/pause.c"
}

# image OUT REFERENCE BINARY NAME [PROGRAM...]: a docker-archive image of one layer with one static binary as its
# entrypoint, and beside it programs of the node's root file system, or NAME=BINARY.
image() {
  local out=$1 reference=$2 binary=$3 name=$4 work layer config; shift 4
  [ "$out" -nt "$binary" ] && return
  work=$(mktemp -d "$LAB/image.XXXXXX")
  mkdir -p "$work/layer/usr/local/bin" "$work/layer/etc"
  mkdir -m 1777 "$work/layer/tmp"
  cp "$binary" "$work/layer/usr/local/bin/$name"
  while [[ ${1:-} = *=* ]]; do
    cp "${1#*=}" "$work/layer/usr/local/bin/${1%%=*}"
    shift
  done
  [ $# = 0 ] || copy_programs "$work/layer" "$@"
  tar --sort=name --mtime=@0 --owner=0 --group=0 -C "$work/layer" -cf "$work/layer.tar" .
  layer=$(sha256sum "$work/layer.tar" | cut -d' ' -f1)
  cat > "$work/config" <<JSON
{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
"Entrypoint":["/usr/local/bin/$name"]},"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
JSON
  config=$(sha256sum "$work/config" | cut -d' ' -f1)
  mkdir "$work/archive"
  mv "$work/layer.tar" "$work/archive/$layer.tar"
  mv "$work/config" "$work/archive/$config.json"
  echo "[{\"Config\":\"$config.json\",\"RepoTags\":[\"$reference\"],\"Layers\":[\"$layer.tar\"]}]" > "$work/archive/manifest.json"
  tar --sort=name --mtime=@0 -C "$work/archive" -cf "$out.new" .
  mv "$out.new" "$out"
  rm -rf "$work"
}

# copy_programs DIR PROGRAM...: programs of the node's root file system with all that they load.
copy_programs() {
  local to=$1 program; shift
  mkdir -p "$to"/{run,usr/{bin,sbin,lib,lib64}}
  ln -s usr/bin usr/sbin usr/lib usr/lib64 "$to"
  for program; do
    { echo "$program"; [ -d "$LAB/rootfs$program" ] || chroot "$LAB/rootfs" ldd "$program" | grep -oE '/\S+'; } \
      | sed -E 's|^/lib|/usr/lib|; s|^/||' | chroot "$LAB/rootfs" tar -C / -T - -chf - | tar -C "$to" -xf -
  done
}

build_images() {
  local component minor
  mkdir -p "$LAB/images"
  image "$LAB/images/pause.tar" registry.k8s.io/pause:3.10.2 "$LAB/bin/tools/pause" pause
  image "$LAB/images/coredns.tar" registry.k8s.io/coredns/coredns:v1.14.6 "$LAB/bin/tools/coredns" coredns
  image "$LAB/images/etcd-3.7.tar" registry.k8s.io/etcd:3.7.0-0 "$LAB/bin/tools/etcd-3.7.0-0" etcd \
    "etcdutl=$LAB/bin/tools/etcdutl-3.7.0-0"
  image "$LAB/images/etcd-3.6.tar" registry.k8s.io/etcd:3.6.8-0 "$LAB/bin/tools/etcd-3.6.8-0" etcd \
    "etcdutl=$LAB/bin/tools/etcdutl-3.6.8-0"
  for minor in 1.37 1.36; do
    for component in kube-apiserver kube-controller-manager kube-scheduler; do
      [ -x "$LAB/bin/$minor/$component" ] || continue
      image "$LAB/images/$component-$minor.tar" "registry.k8s.io/$component:$(release "kubernetes-$minor")" \
        "$LAB/bin/$minor/$component" "$component"
    done
    [ ! -x "$LAB/bin/$minor/kube-proxy" ] || image "$LAB/images/kube-proxy-$minor.tar" \
      "registry.k8s.io/kube-proxy:$(release "kubernetes-$minor")" "$LAB/bin/$minor/kube-proxy" kube-proxy \
      /usr/lib/x86_64-linux-gnu/xtables /usr/lib/x86_64-linux-gnu/libnss_dns.so.2 /usr/bin/{bash,getent} \
      /usr/sbin/{nft,ip{,6}tables{,-save,-restore}}
  done
}

# release NAME: the Kubernetes release that a module pins; nothing for the others.
release() { sed -nE 's/^(require|\t) ?k8s.io\/kubernetes (v[0-9.]+).*/\2/p' "$components/$1/go.mod"; }

build_rootfs() {
  [ -e "$LAB/rootfs/etc/debian_version" ] && return
  local began=$SECONDS
  say "building the node's root file system ..."
  rm -rf "$LAB/rootfs.new"
  debootstrap --variant=minbase \
    --include=systemd,systemd-sysv,dbus,iproute2,iptables,nftables,conntrack,socat,ethtool,kmod,procps,runc,ca-certificates,util-linux \
    bookworm "$LAB/rootfs.new" > "$LAB/rootfs.log" 2>&1 || { tail -20 "$LAB/rootfs.log" >&2; return 1; }
  mv "$LAB/rootfs.new" "$LAB/rootfs"
  say "built    the root file system in $((SECONDS - began)) s"
}
