#!/bin/sh
# iptables, Postern on the router of the legacy servers, `interception: tproxy`. IPv4 and IPv6.
# The configuration is that of nft-tproxy.sh.
#
# May be run again after a change. Undo: delete the rules that jump to POSTERN, in `-t mangle` PREROUTING and in FORWARD,
# and `ip rule delete fwmark 0x170` for -4 and -6.
set -eu
LEGACY_INTERFACE=${LEGACY_INTERFACE:-eth1} # behind it are the legacy servers
PORT=${PORT:-10025}                        # of Postern's listener
ROUTE_MARK=${ROUTE_MARK:-0x170}            # for packets that end here though their address is another's; not Postern's socket_mark
ROUTE_TABLE=${ROUTE_TABLE:-170}

for family in -4 -6; do
    ip $family rule delete fwmark $ROUTE_MARK lookup $ROUTE_TABLE 2>/dev/null || true
    ip $family rule add fwmark $ROUTE_MARK lookup $ROUTE_TABLE
    ip $family route replace local default dev lo table $ROUTE_TABLE
done

for iptables in iptables ip6tables; do
    # An empty chain of our own, and one jump to it.
    chain() { # TABLE BUILT_IN_CHAIN MATCH...
        table=$1 built_in=$2
        shift 2
        $iptables -w -t "$table" -N POSTERN 2>/dev/null || $iptables -w -t "$table" -F POSTERN
        $iptables -w -t "$table" -D "$built_in" "$@" -j POSTERN 2>/dev/null || true
        $iptables -w -t "$table" -I "$built_in" "$@" -j POSTERN
    }
    chain mangle PREROUTING -p tcp
    # Connections that Postern has: with legacy servers, and under their addresses with remote ones (source: client).
    $iptables -w -t mangle -A POSTERN -p tcp -m socket --transparent -j MARK --set-mark $ROUTE_MARK
    $iptables -w -t mangle -A POSTERN -m mark --mark $ROUTE_MARK -j ACCEPT
    # SMTP to this machine itself is left alone.
    $iptables -w -t mangle -A POSTERN -m addrtype --dst-type LOCAL -j RETURN
    $iptables -w -t mangle -A POSTERN -i "$LEGACY_INTERFACE" -p tcp --dport 25 --syn \
        -j TPROXY --on-port "$PORT" --tproxy-mark $ROUTE_MARK
    chain filter FORWARD -i "$LEGACY_INTERFACE" -p tcp --dport 25
    # Sessions from before these rules do not go on in plaintext.
    $iptables -w -A POSTERN -p tcp -j REJECT --reject-with tcp-reset
done
