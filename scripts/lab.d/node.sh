# shellcheck shell=bash
# Lab nodes: system containers with systemd as PID 1, on an overlay over the root file system, in a network of their own.
#
# A node's files live in $LAB/nodes/NAME. Its mounts exist only in its own mount namespace and vanish with it.

run=/run/kubekeel-lab           # container states and addresses; shared by every lab on the machine
bridge=kubekeel-lab             # the network namespace with the bridge
network=172.31.99
runc() { command runc --root "$run/runc" "$@"; }

node_up() { # NAME MINOR BINARY WITH_IMAGES
  local name=$1 minor=$2 binary=$3 images=$4 node=$LAB/nodes/$1 octet
  [[ $name =~ ^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$ ]] || { say "not a node name: '$name'"; return 3; }
  [ -x "$LAB/bin/$minor/kubelet" ] && [ -d "$LAB/rootfs" ] || { say "not built: scripts/lab build"; return 1; }
  node_down "$name"
  mkdir -p "$node"/{upper,work,root,containerd}
  [ "$images" = no ] || clone_images "$minor" "$node/containerd"
  octet=$(claim_address "$name")
  connect "$name" "$octet"
  populate "$name" "$octet" "$minor" "$binary"
  oci_config "$name" > "$node/config.json"
  node_boot "$name"
  echo "$network.$octet"
}

node_boot() { # NAME
  local name=$1 node=$LAB/nodes/$1
  # shellcheck disable=SC2016
  unshare --mount --propagation private bash -c '
    mount -t overlay overlay -o "lowerdir=$1/rootfs,upperdir=$2/upper,workdir=$2/work" "$2/root" &&
    exec runc --root "$3" run --detach --bundle "$2" "$4"' - "$LAB" "$node" "$run/runc" "$name" \
    > "$node/console.log" 2>&1 < /dev/null || { cat "$node/console.log" >&2; return 1; }
  await 30 runc exec "$name" ctr version
}

# node_reboot NAME: a power loss and the boot after it. Everything dies at once; files, network and address stay.
node_reboot() {
  [ -d "$LAB/nodes/$1/upper" ] || { say "no node: '$1'"; return 3; }
  runc delete --force "$1"
  remove_groups "$1"
  node_boot "$1"
}

node_down() { # NAME
  local name=$1 claim
  runc delete --force "$name" 2> /dev/null || true
  [ ! -e "/run/netns/kk-$name" ] || ip netns delete "kk-$name"
  for claim in "$run"/addresses/*; do
    [ "$(cat "$claim" 2> /dev/null)" != "$name" ] || rm -f "$claim"
  done
  remove_groups "$name"
  rm -rf "${LAB:?}/nodes/$name"
}

remove_groups() { # NAME
  local group
  for group in /sys/fs/cgroup/*/kubekeel-lab/"$1" /sys/fs/cgroup/kubekeel-lab/"$1"; do
    # The last processes may still be leaving.
    [ ! -d "$group" ] || await 10 find "$group" -depth -type d -exec rmdir {} + || true
  done
}

# network_down: what is left when no node of any lab is.
network_down() {
  [ -z "$(ls "$run/addresses" 2> /dev/null)" ] || return 0
  [ ! -e "/run/netns/$bridge" ] || ip netns delete "$bridge"
  rmdir /sys/fs/cgroup/*/kubekeel-lab /sys/fs/cgroup/kubekeel-lab 2> /dev/null || true
  rm -rf "$run"
}

# claim_address NAME: prints the last octet of a free address, now the node's.
claim_address() {
  local octet
  mkdir -p "$run/addresses"
  for octet in $(seq 2 254); do
    if (set -o noclobber; echo "$1" > "$run/addresses/$octet") 2> /dev/null; then echo "$octet"; return; fi
  done
  say "no address is free in $network.0/24"
  return 1
}

# connect NAME OCTET: the node's network namespace, on a bridge whose default route leads nowhere.
connect() {
  local netns=kk-$1 port=node$2 lock
  exec {lock}> "$run/bridge.lock"
  flock "$lock"
  if ! ip -n "$bridge" link show br0 > /dev/null 2>&1; then
    ip netns delete "$bridge" 2> /dev/null || true
    ip netns add "$bridge"
    ip -n "$bridge" link set lo up
    ip -n "$bridge" link add br0 type bridge
    ip -n "$bridge" address add "$network.1/24" dev br0
    ip -n "$bridge" link set br0 up
  fi
  exec {lock}>&-
  # The end of a node's network takes its port along, but only after a while.
  ip -n "$bridge" link delete "$port" 2> /dev/null || true
  ip netns add "$netns"
  ip link add eth0 netns "$netns" type veth peer name "$port" netns "$bridge"
  ip -n "$bridge" link set "$port" master br0 up
  ip -n "$netns" address add "$network.$2/24" dev eth0
  ip -n "$netns" link set lo up
  ip -n "$netns" link set eth0 up
  ip -n "$netns" route add default via "$network.1"
}

# populate NAME OCTET MINOR BINARY: the files in which this node differs from the root file system.
populate() {
  local name=$1 octet=$2 minor=$3 binary=$4 etc=$LAB/nodes/$1/upper/etc usr=$LAB/nodes/$1/upper/usr unit command
  cp -r "$root/tests/lab/node/." "${etc%/etc}"
  chmod -R u=rwX,go=rX "${etc%/etc}"
  echo "$name" > "$etc/hostname"
  printf '127.0.0.1 localhost\n%s %s\n' "$network.$octet" "$name" > "$etc/hosts"
  echo 'nameserver 127.0.0.53' > "$etc/resolv.conf"
  echo "$name $octet" | md5sum | cut -c1-32 > "$etc/machine-id"
  mkdir -p "$etc/cni/net.d" "${usr%/usr}/opt/cni" "$usr/bin" "$usr/local/bin"
  cat > "$etc/cni/net.d/10-lab.conflist" <<JSON
{"cniVersion":"1.0.0","name":"lab","plugins":[
{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,
"ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.$octet.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
{"type":"portmap","capabilities":{"portMappings":true}}]}
JSON
  ln -s /opt/lab/bin/tools "${usr%/usr}/opt/cni/bin"
  for command in kubelet kubeadm kubectl; do ln -s "/opt/lab/bin/$minor/$command" "$usr/bin/$command"; done
  for command in containerd containerd-shim-runc-v2 ctr; do ln -s "/opt/lab/bin/tools/$command" "$usr/bin/$command"; done
  mkdir -p "$etc/systemd/system/multi-user.target.wants"
  for unit in containerd kubelet; do
    ln -s "/usr/lib/systemd/system/$unit.service" "$etc/systemd/system/multi-user.target.wants/$unit.service"
  done
  # Nothing that a node for minutes needs.
  for unit in getty@tty1.service console-getty.service e2scrub_reap.service systemd-pstore.service remote-fs.target \
    {apt-daily,apt-daily-upgrade,dpkg-db-backup,e2scrub_all,fstrim}.timer; do
    ln -s /dev/null "$etc/systemd/system/$unit"
  done
  [ -z "$binary" ] || install -m 755 "$binary" "$usr/local/bin/kubekeel"
}

# oci_config NAME: the container's specification. CAP_SYS_RESOURCE is left out where the machine itself may lack it.
oci_config() {
  local name=$1 node=$LAB/nodes/$1 caps
  caps=$(printf '"CAP_%s",' CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN \
    SYS_NICE SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM \
    BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE)
  caps="[${caps%,}]"
  cat <<JSON
{"ociVersion":"1.0.2","hostname":"$name","root":{"path":"root"},
"process":{"user":{"uid":0,"gid":0},"cwd":"/root","args":["/sbin/init"],
"env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin","HOME=/root","container=oci"],
"capabilities":{"bounding":$caps,"effective":$caps,"permitted":$caps}},
"mounts":[
{"destination":"/proc","type":"proc","source":"proc"},
{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755","size=64m"]},
{"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666"]},
{"destination":"/dev/shm","type":"tmpfs","source":"shm","options":["nosuid","nodev"]},
{"destination":"/dev/mqueue","type":"mqueue","source":"mqueue"},
{"destination":"/sys","type":"sysfs","source":"sysfs","options":["nosuid","noexec","nodev"]},
{"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["nosuid","noexec","nodev","rw"]},
{"destination":"/run","type":"tmpfs","source":"tmpfs","options":["nosuid","nodev","mode=755"]},
{"destination":"/tmp","type":"tmpfs","source":"tmpfs","options":["nosuid","nodev","mode=1777"]},
{"destination":"/opt/lab/bin","type":"bind","source":"$LAB/bin","options":["bind","ro"]},
{"destination":"/opt/lab/images","type":"bind","source":"$LAB/images","options":["bind","ro"]},
{"destination":"/var/lib/containerd","type":"bind","source":"$node/containerd","options":["bind","rw"]}],
"linux":{"rootfsPropagation":"rshared","cgroupsPath":"/kubekeel-lab/$name",
"namespaces":[{"type":"pid"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"cgroup"},
{"type":"network","path":"/run/netns/kk-$name"}],
"devices":[{"path":"/dev/kmsg","type":"c","major":1,"minor":11,"fileMode":438,"uid":0,"gid":0}],
"resources":{"devices":[{"allow":true,"access":"rwm"}]}}}
JSON
}

# node_exec NAME COMMAND...: becomes the command, on a terminal of the node if all of this is on one.
node_exec() {
  local terminal=()
  [ ! -t 0 ] || [ ! -t 1 ] || [ ! -t 2 ] || terminal=(--tty --env "TERM=${TERM:-xterm}")
  exec runc --root "$run/runc" exec "${terminal[@]}" "$@"
}

# address NAME: prints the address of a node.
address() {
  local claim
  claim=$(grep -lx -- "$1" "$run"/addresses/* 2> /dev/null) && echo "$network.${claim##*/}"
}

# load NAME MINOR|addons: imports more images into a running node.
load() {
  local archive
  for archive in $(archives "$2"); do
    quietly runc exec "$1" ctr -n k8s.io images import --local "/opt/lab/images/${archive##*/}"
  done
}
