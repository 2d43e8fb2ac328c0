#!/bin/sh
# iptables, Postern on the same machine as the legacy server, `interception: redirect`. IPv4 and IPv6.
# The configuration is that of nft-redirect-host.sh.
#
# May be run again after a change. Undo: delete the rule that jumps to POSTERN, in `-t nat` OUTPUT.
set -eu
PORT=${PORT:-10025}                 # of Postern's listener
SOCKET_MARK=${SOCKET_MARK:-0x2525}  # Postern's own connections go out as they are

for iptables in iptables ip6tables; do
    # An empty chain of our own, and one jump to it.
    $iptables -w -t nat -N POSTERN 2>/dev/null || $iptables -w -t nat -F POSTERN
    $iptables -w -t nat -D OUTPUT -p tcp --dport 25 -j POSTERN 2>/dev/null || true
    $iptables -w -t nat -I OUTPUT -p tcp --dport 25 -j POSTERN

    $iptables -w -t nat -A POSTERN -m mark --mark "$SOCKET_MARK" -j RETURN
    # SMTP to this machine itself is left alone.
    $iptables -w -t nat -A POSTERN -m addrtype --dst-type LOCAL -j RETURN
    $iptables -w -t nat -A POSTERN -p tcp -j REDIRECT --to-ports "$PORT"
done
