#!/usr/bin/env bash
# The protocol's Go client, built into the program that drives our servers through the interop tests.
source "$(dirname "$0")/lib.sh"
source=$(cd "$(dirname "$0")/../test/fixtures/interop-go" && pwd)
command -v go >/dev/null || apt_install golang-go
make_go() { (cd "$source" && quiet go build -o "$1/interop" .); }
cached go "$(cat "$source"/* | sha256sum | cut -c1-16) $(go version)" make_go
echo "KUZNIA_GO=$CACHE/go/interop"
