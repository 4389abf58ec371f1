#!/usr/bin/env bash
# A real IMAP server and a real SMS daemon, from Debian: the tests start each in a folder of its own.
source "$(dirname "$0")/lib.sh"
command -v openssl >/dev/null || apt_install openssl
dovecot=$(command -v dovecot || echo /usr/sbin/dovecot)
[ -x "$dovecot" ] && [ -e /usr/lib/dovecot/imap ] || apt_install dovecot-imapd
command -v gammu-smsd >/dev/null || apt_install gammu-smsd
dovecot=$(command -v dovecot || echo /usr/sbin/dovecot)
quiet "$dovecot" --version
quiet gammu-smsd --version
echo "KUZNIA_DOVECOT=$dovecot"
echo "KUZNIA_GAMMU_SMSD=$(command -v gammu-smsd)"
