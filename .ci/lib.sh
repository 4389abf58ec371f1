# What the scripts beside this one share; sourced, not run. Each of them prints NAME=value lines, which .ci/run exports.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1 PATH="$PATH:/usr/local/go/bin"
CACHE=${KUZNIA_CI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kuznia-ci}
mkdir -p "$CACHE"
CACHE=$(cd "$CACHE" && pwd)

# quiet COMMAND...: its output is shown only when it fails.
quiet() {
  local out rc=0
  out=$("$@" 2>&1 </dev/null) || rc=$?
  [ $rc = 0 ] || { printf '%s\n' "$out" >&2; echo "failed ($rc): $*" >&2; return $rc; }
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n -E "$@"; fi; }

# apt_install PACKAGE...: those that are missing; package lists are fetched only when the ones at hand do not do.
apt_install() {
  local package missing=()
  for package; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local install=(as_root apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends "${missing[@]}")
  "${install[@]}" </dev/null >/dev/null 2>&1 && return
  quiet as_root apt-get -o DPkg::Lock::Timeout=300 update -q
  quiet "${install[@]}"
}

# cached NAME STAMP FUNCTION: CACHE/NAME as FUNCTION makes it in the empty folder $1. Made again when STAMP differs; put
# in place by a rename, so that a build that was killed is never taken for a whole one. One build at a time, by a lock.
cached() {
  local name=$1 stamp=$2 make=$3 new=$CACHE/$1.new
  exec 9>"$CACHE/$name.lock"
  flock 9
  if [ "$(cat "$CACHE/$name/.stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "ci: making $name ($stamp)" >&2
    rm -rf "$new"
    mkdir "$new"
    "$make" "$new"
    echo "$stamp" >"$new/.stamp"
    rm -rf "${CACHE:?}/$name"
    mv "$new" "$CACHE/$name"
  fi
  exec 9>&-
}
