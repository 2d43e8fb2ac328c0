#!/bin/sh
# nftables, Postern on the same machine as the legacy server, `interception: redirect`. IPv4 and IPv6.
#
#   outbound:
#     internet:
#       listen: ["127.0.0.1:10025", "[::1]:10025"]
#       route: original_destination
#       interception: redirect
#       socket_mark: 0x2525
#       allow_clients: [127.0.0.0/8, "::1/128", 198.51.100.10, "2001:db8:100::10"]    # this machine, by all its addresses:
#                                              # a redirected connection keeps the address it would have gone out with
#
# May be run again after a change. Undo: nft delete table inet postern_outbound
set -eu
PORT=${PORT:-10025}                 # of Postern's listener
SOCKET_MARK=${SOCKET_MARK:-0x2525}  # Postern's own connections go out as they are

nft -f - <<END
table inet postern_outbound
delete table inet postern_outbound
table inet postern_outbound {
    chain output {
        type nat hook output priority -100;
        meta mark $SOCKET_MARK return
        # SMTP to this machine itself is left alone.
        fib daddr type local return
        tcp dport 25 redirect to :$PORT
    }
}
END
