#!/usr/bin/env bash
# GitLab's own command line, from Debian: the package where this release has one, else that of the release after it,
# unpacked and not installed. It is one program that needs libc alone.
source "$(dirname "$0")/lib.sh"
SUITE=trixie

# The mirror that apt uses.
mirror() {
  [ -n "$(ls /var/lib/apt/lists 2>/dev/null)" ] || quiet as_root apt-get -o DPkg::Lock::Timeout=300 update -q
  apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' | sed -n '/\/debian\/$/{s,/$,,p;q}'
}

# The program in the folder $1.
unpack() {
  command -v curl >/dev/null && command -v xz >/dev/null || apt_install curl ca-certificates xz-utils
  local base architecture entry path sum
  base=$(mirror)
  architecture=$(dpkg --print-architecture)
  entry=$(curl -fsSL --retry 3 "$base/dists/$SUITE/main/binary-$architecture/Packages.xz" | xz -dc |
    sed -n '/^Package: glab$/,/^$/p')
  path=$(sed -n 's/^Filename: //p' <<<"$entry")
  sum=$(sed -n 's/^SHA256: //p' <<<"$entry")
  curl -fsSL --retry 3 -o "$1/glab.deb" "$base/$path"
  echo "$sum  $1/glab.deb" | sha256sum -c --quiet
  dpkg-deb -x "$1/glab.deb" "$1/unpacked"
  mv "$1/unpacked/usr/bin/glab" "$1/glab"
  rm -rf "$1/glab.deb" "$1/unpacked"
}

glab=$(command -v glab || true)
if [ -z "$glab" ]; then
  cached glab "$SUITE" unpack
  glab=$CACHE/glab/glab
fi
quiet "$glab" version
echo "KUZNIA_GLAB=$glab"
