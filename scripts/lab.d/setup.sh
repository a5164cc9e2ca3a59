# shellcheck shell=bash
# What every script begins with: strict mode, where things are, telling, and the Debian packages it needs.
set -euo pipefail
shopt -s inherit_errexit
umask 022

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Built components and nodes; outside the source tree, so that they outlive it.
LAB=${KUBEKEEL_LAB:-${XDG_CACHE_HOME:-$HOME/.cache}/kubekeel/lab}
mkdir -p "$LAB"
# Where the toolchains put themselves, for shells that did not read a profile.
PATH=$PATH:$HOME/.cargo/bin:/usr/local/go/bin:$LAB/cargo/bin

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

# need PROGRAM=PACKAGE...: installs the Debian packages whose program, or file, is missing.
need() {
  local pair missing=()
  for pair; do
    case $pair in
      /*) [ -e "${pair%%=*}" ] || missing+=("${pair#*=}") ;;
      *) type -P "${pair%%=*}" > /dev/null || missing+=("${pair#*=}") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]} ..."
  [ "$(id -u)" = 0 ] || { say "not root: install them first"; return 1; }
  quietly apt-get -q update
  quietly env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
}

# quietly COMMAND...: shows the output of a command only if it fails.
quietly() {
  local output
  output=$("$@" 2>&1 < /dev/null) || { printf '%s\n' "$output" >&2; return 1; }
}

# await SECONDS COMMAND...: until the command succeeds.
await() {
  local deadline=$((SECONDS + $1)); shift
  until "$@" > /dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { say "gave up waiting for: $*"; return 1; }
    sleep 0.05
  done
}
