#!/bin/sh
# iptables, Postern on the router of the legacy servers, `interception: redirect`. IPv4 and IPv6.
# The configuration is that of nft-redirect-router.sh.
#
# May be run again after a change. Undo: delete the rules that jump to POSTERN, in `-t nat` PREROUTING and in FORWARD.
set -eu
LEGACY_INTERFACE=${LEGACY_INTERFACE:-eth1} # behind it are the legacy servers
PORT=${PORT:-10025}                        # of Postern's listener

for iptables in iptables ip6tables; do
    # An empty chain of our own, and one jump to it.
    chain() { # TABLE BUILT_IN_CHAIN
        $iptables -w -t "$1" -N POSTERN 2>/dev/null || $iptables -w -t "$1" -F POSTERN
        $iptables -w -t "$1" -D "$2" -i "$LEGACY_INTERFACE" -p tcp --dport 25 -j POSTERN 2>/dev/null || true
        $iptables -w -t "$1" -I "$2" -i "$LEGACY_INTERFACE" -p tcp --dport 25 -j POSTERN
    }
    chain nat PREROUTING
    # SMTP to this machine itself is left alone.
    $iptables -w -t nat -A POSTERN -m addrtype --dst-type LOCAL -j RETURN
    $iptables -w -t nat -A POSTERN -p tcp -j REDIRECT --to-ports "$PORT"
    chain filter FORWARD
    # Sessions from before these rules do not go on in plaintext.
    $iptables -w -A POSTERN -p tcp -j REJECT --reject-with tcp-reset
done
