#!/usr/bin/env bash
# The protocol's Python client, as other people's agents use it: 2.x, and the 1.x that many still have.
source "$(dirname "$0")/lib.sh"
make_venv() {
  python3 -c 'import venv, ensurepip' 2>/dev/null || apt_install python3-venv
  quiet python3 -m venv "$1"
  quiet "$1/bin/python" -m pip install "$mcp"
}
python=$(python3 -c 'import sys; print(sys.executable, *sys.version_info[:3])')

for pair in python=2.3.0 python1=1.30.0; do
  name=${pair%=*} mcp=mcp==${pair#*=}
  cached "$name" "$mcp $python" make_venv
  quiet "$CACHE/$name/bin/python" -c "
import importlib.metadata, mcp.client.stdio, mcp.client.streamable_http
from mcp import ClientSession
assert importlib.metadata.version('mcp') == '${mcp#*==}'"
  echo "KUZNIA_${name^^}=$CACHE/$name/bin/python"
done
