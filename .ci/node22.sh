#!/usr/bin/env bash
# A Node 22 beside the project's own Node, and the protocol's conformance suite, which needs it. Both from npm.
source "$(dirname "$0")/lib.sh"
node=node-linux-$(node -p process.arch)@22.23.3
conformance=@modelcontextprotocol/conformance@0.2.0-alpha.12

install() { quiet npm install --prefix "$2" --ignore-scripts --no-audit --no-fund --no-save "$1"; }
make_node() { install "$node" "$1"; }
make_conformance() { install "$conformance" "$1"; }

cached node22 "$node" make_node
cached conformance "$conformance" make_conformance
node22=$CACHE/node22/node_modules/${node%@*}/bin/node
cli=$CACHE/conformance/node_modules/${conformance%@*}/dist/index.js
[[ $("$node22" --version) == v22.* ]]
quiet "$node22" "$cli" --help
echo "KUZNIA_NODE22=$node22"
echo "KUZNIA_CONFORMANCE=$cli"
