#!/bin/sh
# nftables, Postern on the router of the legacy servers, `interception: tproxy`. IPv4 and IPv6.
#
#   outbound:
#     internet:
#       listen: ["0.0.0.0:10025", "[::]:10025"]
#       route: original_destination
#       interception: tproxy
#       source: client                         # or gateway; with client, answers must be routed through this machine
#       allow_clients: [198.51.100.0/24, "2001:db8:100::/64"]     # the legacy servers
#
# May be run again after a change. Undo: nft delete table inet postern_outbound, and `ip rule delete fwmark 0x170` for -4 and -6
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

nft -f - <<END
table inet postern_outbound
delete table inet postern_outbound
table inet postern_outbound {
    chain prerouting {
        type filter hook prerouting priority mangle;
        # Connections that Postern has: with legacy servers, and under their addresses with remote ones (source: client).
        meta l4proto tcp socket transparent 1 meta mark set $ROUTE_MARK accept
        # SMTP to this machine itself is left alone.
        fib daddr type local return
        iifname "$LEGACY_INTERFACE" meta nfproto ipv4 tcp dport 25 tproxy ip to :$PORT meta mark set $ROUTE_MARK accept
        iifname "$LEGACY_INTERFACE" meta nfproto ipv6 tcp dport 25 tproxy ip6 to :$PORT meta mark set $ROUTE_MARK accept
    }
    chain forward {
        type filter hook forward priority filter;
        # Sessions from before these rules do not go on in plaintext.
        iifname "$LEGACY_INTERFACE" tcp dport 25 reject with tcp reset
    }
}
END
