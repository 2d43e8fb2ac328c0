"""A remote server, or somebody on the way to it, that keeps TLS from beginning."""

import re

import pytest
import senders
import world as places
from firewall import firewall

from harness.messages import message, new_token
from harness.scripted_server import Remote

# What it does, and the code when TLS is demanded.
MISBEHAVIOUR = {
    "STARTTLS is not offered": ({"offer": "XXXXXXXA"}, "4.7.4"),
    "STARTTLS is not possible now": ({"replies": {"STARTTLS": "454 4.7.0 not now\r\n"}}, "4.7.4"),
    "it takes its leave at STARTTLS": ({"replies": {"STARTTLS": "421 4.3.2 bye\r\n"}, "dies_at": "STARTTLS!"}, "4.7.4"),
    "STARTTLS is refused": ({"replies": {"STARTTLS": "502 5.5.1 what is that\r\n"}}, "4.7.4"),
    "a reply follows the 220": ({"behind_220": "250 2.0.0 injected\r\n"}, "4.7.5"),
    "half a reply follows the 220": ({"behind_220": "25"}, "4.7.5"),
    "it hangs up behind the 220": ({"dies_at": "STARTTLS!"}, "4.7.5"),
    "it hangs up in the handshake": ({"dies_at": "HELLO?"}, "4.7.5"),
    "it says no in the handshake": ({"in_place_of_tls": "454 4.7.0 no\r\n"}, "4.7.5"),
    "the reply is garbage": ({"replies": {"STARTTLS": "\x16\x03\x01 garbage\r\n"}}, "4.7.5"),
    "the reply is another's": ({"replies": {"STARTTLS": "354 go ahead\r\n"}}, "4.7.5"),
    "it hangs up at STARTTLS": ({"dies_at": "STARTTLS?"}, "4.7.5"),
    "it hangs up behind the handshake": ({"dies_at": "HANDSHAKE!"}, "4.7.5"),
    "it hangs up at the first command in TLS": ({"dies_at": "TLS EHLO?"}, "4.7.5"),
}
HARMLESS = rb"((EHLO|HELO) [^\r\n]*\r\n|STARTTLS\r\n|QUIT\r\n)*"


@pytest.fixture
def intercepting(world):
    with firewall(world.gateway, "nft-redirect-router"):
        yield


def try_to_send(world, domain, token, family="4"):
    """None for a message that was taken, or the code of the refusal."""
    with senders.session(world, places.SCRIPTED[family]) as client:
        return senders.hand_over(client, domain, token)


def check_nothing_leaked(server, token):
    assert re.fullmatch(HARMLESS, server.plain()), server.plain()
    assert token.encode() not in server.received()


@pytest.mark.parametrize("case", MISBEHAVIOUR)
@pytest.mark.parametrize(
    "domain, level",
    [("scripted-dane.example", "may"), ("scripted-sts.example", "may"), ("scripted.example", "encrypt")],
)
def test_where_tls_is_demanded_nothing_leaves_in_plaintext(world, start_gateway, intercepting, case, domain, level):
    options, code = MISBEHAVIOUR[case]
    token = new_token()
    start_gateway(level=level)
    with world.serve(**options) as server:
        assert try_to_send(world, domain, token) == code
    check_nothing_leaked(server, token)


@pytest.mark.parametrize("case", MISBEHAVIOUR)
def test_where_tls_is_not_demanded_the_message_leaves_in_plaintext(world, start_gateway, intercepting, case):
    """RFC 7435: on a connection where TLS has not been tried, and nothing of it on any other."""
    options, _ = MISBEHAVIOUR[case]
    token = new_token()
    start_gateway(level="may")
    with world.serve(**options) as server:
        assert try_to_send(world, "scripted.example", token) is None
        assert [token.encode() in content for content in server.messages()] == [True]
        *before, last = server.connections
        assert token.encode() in last.plain
        assert b"250 2.0.0 injected" not in bytes(last.received)
        for connection in before:
            assert re.fullmatch(HARMLESS, connection.plain)


@pytest.mark.parametrize("family", ["4", "6"])
def test_a_host_with_many_names_is_asked_for_the_right_one(world, start_gateway, intercepting, family):
    """Which is not known before the recipient is: another connection is made, with the name."""
    start_gateway(level="verify")
    with world.serve(family, wants_name=True) as server:
        for domain in ("scripted.example", "scripted-sts.example"):
            assert try_to_send(world, domain, new_token(), family) is None
            took = next(connection for connection in reversed(server.connections) if connection.messages)
            assert took.asked_for == f"mx.{domain}"
        assert not {connection.asked_for for connection in server.connections} & set(places.SCRIPTED.values())


def test_what_is_offered_before_tls_is_forgotten(world, start_gateway, intercepting):
    class TwoFaced(Remote):
        def keywords_for(self, connection):
            return ["SIZE 1000", "8BITMIME"] if connection.in_tls else ["SIZE 9999", "DSN", "AUTH PLAIN", "STARTTLS"]

    start_gateway(level="encrypt")
    with world.serve(kind=TwoFaced), senders.session(world, places.SCRIPTED["4"]) as client:
        client.expect(220)
        offered = client.expect(250, "EHLO legacy.example").keywords()
        assert offered.get("SIZE") == "1000" and not {"DSN", "AUTH", "STARTTLS"} & set(offered)


def test_a_client_that_knows_only_helo_gets_tls_all_the_same(world, start_gateway, intercepting):
    token = new_token()
    start_gateway(level="verify")
    with world.serve() as server:
        with senders.session(world, places.SCRIPTED["4"]) as client:
            client.expect(220)
            client.expect(250, "HELO legacy.example")
            client.send_message("sender@legacy.example", ["user@scripted.example"], message(token=token))
            client.quit()
        assert [token.encode() in content for content in server.messages()] == [True]
        assert re.fullmatch(HARMLESS, server.plain())
