"""The remote server dies at each step: the legacy server keeps the message and delivers it once the remote is well."""

import re

import pytest
import senders
import world as places
from firewall import firewall
from test_remote_misbehaves import HARMLESS

from harness.messages import message, new_token

BEFORE_TLS = ["GREETING?", "GREETING!", "EHLO?", "EHLO!", "STARTTLS?", "STARTTLS!", "HELLO?", "HANDSHAKE!"]
IN_TLS = ["TLS EHLO?", "TLS EHLO!", "TLS MAIL?", "TLS MAIL!", "TLS RCPT?", "TLS RCPT!", "TLS DATA?", "TLS DATA!"]
STEPS = [*BEFORE_TLS, *IN_TLS, "TLS CONTENT?", "TLS .?"]


@pytest.fixture
def intercepting(world):
    with firewall(world.gateway, "nft-redirect-router"):
        yield


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_lost_or_doubled(world, start_gateway, intercepting, legacy_postfix, step):
    token = new_token()
    start_gateway()
    with world.serve(dies_at=step) as server:
        identifier = legacy_postfix.submit(["user@scripted-dane.example"], message(token=token))
        legacy_postfix.wait_for_log(rf"{identifier}: to=.*status=deferred")
        assert server.messages() == []
        server.script.dies_at = None
        legacy_postfix.wait_until_done(identifier)
        assert [token.encode() in content for content in server.messages()] == [True]
        assert re.fullmatch(HARMLESS, server.plain())


def test_what_was_acknowledged_is_not_sent_again(world, start_gateway, intercepting, legacy_postfix):
    """It dies right behind its 250."""
    token = new_token()
    start_gateway()
    with world.serve(dies_at="TLS .!") as server:
        identifier = legacy_postfix.submit(["user@scripted-dane.example"], message(token=token))
        legacy_postfix.wait_until_done(identifier)
        assert [token.encode() in content for content in server.messages()] == [True]


def test_a_host_that_is_down_is_waited_for(world, start_gateway, intercepting, legacy_postfix):
    token = new_token()
    start_gateway()
    identifier = legacy_postfix.submit(["user@scripted-dane.example"], message(token=token))
    legacy_postfix.wait_for_log(rf"{identifier}: to=.*status=deferred")
    with world.serve() as server:
        legacy_postfix.wait_until_done(identifier)
        assert [token.encode() in content for content in server.messages()] == [True]


def test_it_leaves_while_the_policy_is_looked_up(world, start_gateway, intercepting):
    """The recipient waits for DNS, DNS for nobody: it goes on with a new connection."""
    start_gateway()
    with world.serve() as server, senders.session(world, places.SCRIPTED["4"]) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        with world.nsd.paused():
            client.send(b"RCPT TO:<user@scripted-late.example>\r\n")
            first = server.connections[0]
            first.leave()
            assert first.finished.wait(60), "the gateway has not noticed"
        client.expect(250)
        client.expect(250, "RSET")
        client.quit()
        assert len(server.connections) == 2
