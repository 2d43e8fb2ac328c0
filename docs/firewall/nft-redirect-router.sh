#!/bin/sh
# nftables, Postern on the router of the legacy servers, `interception: redirect`. IPv4 and IPv6.
#
#   outbound:
#     internet:
#       listen: ["0.0.0.0:10025", "[::]:10025"]
#       route: original_destination
#       interception: redirect
#       allow_clients: [198.51.100.0/24, "2001:db8:100::/64"]     # the legacy servers
#
# May be run again after a change. Undo: nft delete table inet postern_outbound
set -eu
LEGACY_INTERFACE=${LEGACY_INTERFACE:-eth1} # behind it are the legacy servers
PORT=${PORT:-10025}                        # of Postern's listener

nft -f - <<END
table inet postern_outbound
delete table inet postern_outbound
table inet postern_outbound {
    chain prerouting {
        type nat hook prerouting priority dstnat;
        # SMTP to this machine itself is left alone.
        fib daddr type local return
        iifname "$LEGACY_INTERFACE" tcp dport 25 redirect to :$PORT
    }
    chain forward {
        type filter hook forward priority filter;
        # Sessions from before these rules do not go on in plaintext.
        iifname "$LEGACY_INTERFACE" tcp dport 25 reject with tcp reset
    }
}
END
