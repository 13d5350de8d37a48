#!/bin/sh
# Installs Dovecot for the end-to-end tests when it is missing (Debian and its relatives; elsewhere it says what to do).
set -eu
command -v dovecot >/dev/null 2>&1 || [ -x /usr/sbin/dovecot ] && exit 0
if ! command -v apt-get >/dev/null 2>&1; then
	echo "install Dovecot with its IMAP server to run the end-to-end tests; they are skipped without it" >&2
	exit 0
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends dovecot-imapd >/dev/null
