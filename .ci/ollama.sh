#!/usr/bin/env bash
# The real Ollama, built from its Go module: about 6 minutes on 2 cores. 0.24 is the last line that can be built this way
# (from 0.30 on it runs llama.cpp's server, which is not in the module).
source "$(dirname "$0")/lib.sh"
version=0.24.0
malgo=github.com/gen2brain/malgo@v0.11.24

# Ollama's CPU code has no run-time dispatch when it is built by go: without -march prompts are read 6 times slower.
march=
for flag in avx2 bmi2 f16c fma movbe; do
  if grep -qwm1 "$flag" /proc/cpuinfo; then march=-march=x86-64-v3; else march=; break; fi
done

# Headers that Ollama and malgo include from vendored folders, which a Go module leaves out.
headers() {
  apt_install nlohmann-json3-dev libstb-dev
  quiet go mod download "$malgo"
  mkdir -p "$1/miniaudio"
  cp "$(go env GOMODCACHE)/$malgo/miniaudio.h" "$1/miniaudio/"
}

make_ollama() {
  command -v go >/dev/null || { echo "ci: go is needed to build Ollama" >&2; return 1; }
  command -v g++ >/dev/null || apt_install build-essential
  headers "$1/include"
  quiet env GOBIN="$1/bin" CGO_ENABLED=1 CGO_CPPFLAGS="-I$1/include" CGO_CFLAGS="-O3 $march" CGO_CXXFLAGS="-O3 $march" \
    go install -trimpath -ldflags "-s -w -X=github.com/ollama/ollama/version.Version=$version" \
    "github.com/ollama/ollama@v$version"
  rm -rf "$1/include"
}

cached ollama "$version${march:+ $march}" make_ollama
# With no server to ask it prints its own version as the client's, after a warning.
"$CACHE/ollama/bin/ollama" --version 2>&1 | grep -q "version is $version" || { echo "ci: ollama does not run" >&2; exit 1; }
echo "KUZNIA_REAL_OLLAMA=$CACHE/ollama/bin/ollama"
