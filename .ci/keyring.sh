#!/usr/bin/env bash
# A real Secret Service, from Debian: the tests start it on a bus of its own, and open it with a password of theirs.
source "$(dirname "$0")/lib.sh"
command -v gnome-keyring-daemon >/dev/null || apt_install gnome-keyring
command -v dbus-daemon >/dev/null || apt_install dbus
quiet dbus-daemon --version
echo "KUZNIA_DBUS_DAEMON=$(command -v dbus-daemon)"
echo "KUZNIA_GNOME_KEYRING=$(command -v gnome-keyring-daemon)"
