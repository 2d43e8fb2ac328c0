"""A remote server that is lost before it has answered a recipient, on each route: it is not called again and again, the
next mail host is, and the client has its answer."""

import contextlib

import pytest
import senders
import world as places
from firewall import PORT, firewall

from harness.messages import new_token
from harness.scripted_server import Remote, reset

DOMAIN = "scripted.example"
ROUTES = {
    "original_destination": {"route": "original_destination"},
    "mx": {"route": "mx"},
    "relay": {"route": "relay", "relay": {"address": f"mx.{DOMAIN}:25"}},
}
# Without PIPELINING, and with STARTTLS. What it does at the step, and at which; 2: TLS is tried, then plaintext.
PLAIN = {"offer": "XXXXXXXA"}
MISDEEDS = {
    "hangs up behind EHLO": ({"dies_at": "EHLO!", **PLAIN}, 1),
    "hangs up at MAIL": ({"dies_at": "MAIL?", **PLAIN}, 1),
    "resets at MAIL": ({"kind": "resetting", **PLAIN}, 1),
    "says no SMTP": ({"replies": {"MAIL": "what?\r\n"}, **PLAIN}, 1),
    "says 354": ({"replies": {"MAIL": "354 go ahead\r\n"}, **PLAIN}, 1),
    "says two things": ({"replies": {"MAIL": "250 a\r\n250 b\r\n"}, **PLAIN}, 1),
    "hangs up at MAIL in TLS": ({"dies_at": "TLS MAIL?"}, 1),
    "hangs up in the handshake, then at MAIL": ({"kind": "twice"}, 2),
}


class Resetting(Remote):
    def on_mail(self, connection, line):
        reset(connection)


class Twice(Remote):
    """No TLS, and no mail either."""

    def _watch(self, connection, name):
        if name in ("HELLO?", "MAIL?"):
            self.dies_at = name
        super()._watch(connection, name)


KINDS = {"resetting": Resetting, "twice": Twice}


@pytest.fixture
def reach(world, request):
    """Where the client connects to."""
    with contextlib.ExitStack() as ends:

        def reach(route):
            if route != "original_destination":
                return senders.at_the_gateway(PORT)(None)
            ends.enter_context(firewall(world.gateway, "nft-redirect-router"))
            return places.SCRIPTED["4"], 25

        yield reach


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", MISDEEDS)
def test_it_is_called_once(world, start_gateway, reach, case, route):
    options, most = MISDEEDS[case]
    options = {"keywords": ["8BITMIME"], **options}
    options["kind"] = KINDS.get(options.get("kind"), Remote)
    with contextlib.ExitStack() as ends:
        gateway = start_gateway(**ROUTES[route])
        # Both addresses of the host: by relay and by MX the second one is tried, too.
        servers = [ends.enter_context(world.serve(family, **options)) for family in "46"]
        with senders.session(world, *reach(route)) as client:
            replies = [client.reply()]
            for line in ("EHLO legacy.example", "MAIL FROM:<a@legacy.example>", f"RCPT TO:<user@{DOMAIN}>"):
                if replies[-1].code not in (220, 250):
                    break
                replies.append(client.command(line))
            # Where nothing was under way the client's session ends; RCPT may be there before that is noticed.
            idle = case == "hangs up behind EHLO" and route != "mx"
            assert str(replies[-1]).startswith(("421 4.", "451 4.4.2 ") if idle else "451 4.4.2 "), replies
            client.send(b"QUIT\r\n")
        gateway.wait_for_log("session ended ")
        # One for the recipient at each address; where the one for EHLO was lost before that, it comes on top.
        assert sum(len(server.connections) for server in servers) <= 2 * most + idle
        assert gateway.log().count("policy decision") <= 4
        assert not any(server.messages() for server in servers)


def test_the_next_address_gets_the_message(world, start_gateway):
    token = new_token()
    start_gateway(**ROUTES["mx"])
    with world.serve("6", keywords=["8BITMIME"], dies_at="MAIL?", **PLAIN) as first:
        with world.serve("4", keywords=["8BITMIME"], **PLAIN) as second:
            with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
                senders.hand_over(client, DOMAIN, token)
            assert [token.encode() in content for content in first.messages() + second.messages()] == [True]
            assert len(first.connections) + len(second.connections) <= 2
