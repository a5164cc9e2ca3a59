# Debian packages that a script needs; a machine that has them all is left alone.

# need PROGRAM=PACKAGE...: installs the packages whose program (or file) is missing.
need() {
  local pair missing=()
  for pair; do
    case $pair in
      /*) [ -e "${pair%%=*}" ] || missing+=("${pair#*=}") ;;
      *) command -v "${pair%%=*}" > /dev/null || missing+=("${pair#*=}") ;;
    esac
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]} ..."
  [ "$(id -u)" = 0 ] || { say "run as root, or install them first"; return 1; }
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -q update && apt-get -q install -y --no-install-recommends "${missing[@]}"; } < /dev/null 1>&2
}
