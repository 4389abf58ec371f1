#!/usr/bin/env bash
# A terminal that tests can type into.
source "$(dirname "$0")/lib.sh"
command -v tmux >/dev/null || apt_install tmux
quiet tmux -V
echo "KUZNIA_TMUX=$(command -v tmux)"
