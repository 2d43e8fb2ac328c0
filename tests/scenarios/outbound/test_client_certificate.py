"""Remote servers that ask for a certificate of ours, or demand one."""

import os
import re
import signal
import ssl

import pytest
import senders
import world as places
from firewall import PORT, firewall

from harness.messages import new_token
from harness.scripted_server import Remote

HARMLESS = rb"((EHLO|HELO) [^\r\n]*\r\n|STARTTLS\r\n|QUIT\r\n)*"


class Asking(Remote):
    """Asks for a certificate of the authority, in one version of TLS; `shown` has the DER of each handshake's, or None."""

    def __init__(self, tls_context, version, mode, authority, **options):
        super().__init__(tls_context, **options)
        self.tls_context.minimum_version = self.tls_context.maximum_version = version
        self.tls_context.verify_mode = mode
        self.tls_context.load_verify_locations(authority.certificate)
        self.shown = []

    def _watch(self, connection, name):
        if name == "HANDSHAKE!":
            self.shown.append(connection.socket.getpeercert(binary_form=True))
        super()._watch(connection, name)


@pytest.fixture(scope="module")
def own(world):
    return world.authority.issue("gateway.example.org", client=True)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLSv1.2", "TLSv1.3"])
def serve(world, request):
    """serve(mode): the scripted host, in one version of TLS."""

    def start(mode, authority=world.authority):
        return world.serve(kind=Asking, version=request.param, mode=mode, authority=authority)

    return start


def certificate_of(pair):
    with open(pair.chain, encoding="ascii") as file:
        first = file.read().partition("-----END CERTIFICATE-----")
    return ssl.PEM_cert_to_DER_cert(first[0] + first[1])


def shows(*pairs):
    """What a gateway that has these needs in its configuration; the first is what remote servers are to see."""
    names = ["own", "other"][: len(pairs)]
    return {
        "client_certificate": "own",
        "top": {"certificates": {name: [pair.as_setting()] for name, pair in zip(names, pairs)}},
    }


def hand_over(world, domain, token=None):
    with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
        return senders.hand_over(client, domain, token or new_token())


@pytest.mark.parametrize("mode", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED], ids=["asks", "demands"])
def test_the_configured_one_is_shown(world, start_gateway, serve, own, mode):
    start_gateway(route="mx", level="verify", **shows(own, world.pairs["trusted"]))
    with serve(mode) as server:
        for _ in range(2):  # the second session is resumed, where the server lets it be
            assert hand_over(world, "scripted.example") is None
        assert len(server.messages()) == 2 and re.fullmatch(HARMLESS, server.plain())
        assert set(server.script.shown) == {certificate_of(own)}


def test_it_is_shown_over_an_intercepted_connection(world, start_gateway, serve, own):
    """Where the first handshake is without the name of the host."""
    start_gateway(level="verify", **shows(own))
    with serve(ssl.CERT_REQUIRED) as server, firewall(world.gateway, "nft-redirect-router"):
        with senders.session(world, places.SCRIPTED["4"]) as client:
            assert senders.hand_over(client, "scripted.example", new_token()) is None
        assert len(server.messages()) == 1 and set(server.script.shown) == {certificate_of(own)}


def test_of_two_keys_one_that_fits_is_shown(world, start_gateway, serve, own):
    pairs = [own, world.authority.issue("gateway.example.org", "rsa", client=True)]
    certificates = {"own": [pair.as_setting() for pair in pairs]}
    start_gateway(route="mx", level="encrypt", client_certificate="own", top={"certificates": certificates})
    with serve(ssl.CERT_REQUIRED) as server:
        assert hand_over(world, "scripted.example") is None
        assert set(server.script.shown) <= {certificate_of(pair) for pair in pairs}


def test_without_one_a_server_that_only_asks_is_content(world, start_gateway, serve):
    start_gateway(route="mx", level="verify")
    with serve(ssl.CERT_OPTIONAL) as server:
        assert hand_over(world, "scripted.example") is None
        assert len(server.messages()) == 1 and set(server.script.shown) == {None}
        assert re.fullmatch(HARMLESS, server.plain())


# Why the server that demands one refuses the handshake; in TLS 1.3 only after it has ended for us.
@pytest.fixture(params=["none", "a stranger's"])
def refused_certificate(world, request):
    return {} if request.param == "none" else shows(world.strangers.issue("gateway.example.org", client=True))


@pytest.mark.parametrize(
    "domain, level", [("scripted.example", "encrypt"), ("scripted.example", "verify"), ("scripted-dane.example", "may")]
)
def test_refused_where_tls_is_demanded_nothing_leaves(world, start_gateway, serve, refused_certificate, domain, level):
    token = new_token()
    gateway = start_gateway(route="mx", level=level, **refused_certificate)
    with serve(ssl.CERT_REQUIRED) as server:
        assert hand_over(world, domain, token) == "4.7.5"
    assert re.fullmatch(HARMLESS, server.plain()) and token.encode() not in server.received()
    gateway.wait_for_log(rf"policy decision .*domain={domain} .*policy_result=refused policy_reason=handshake_failed")


def test_refused_at_may_the_message_leaves_in_plaintext(world, start_gateway, serve, refused_certificate):
    token = new_token()
    start_gateway(route="mx", level="may", **refused_certificate)
    with serve(ssl.CERT_REQUIRED) as server:
        assert hand_over(world, "scripted.example", token) is None
        assert [token.encode() in content for content in server.messages()] == [True]
        *before, last = server.connections
        assert token.encode() in last.plain
        for connection in before:
            assert re.fullmatch(HARMLESS, connection.plain)


@pytest.mark.parametrize("mode", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED], ids=["asks", "demands"])
def test_a_signature_that_is_not_to_be_had_is_no_reason_for_plaintext(world, start_gateway, serve, own, mode):
    """Our own trouble: who only asks for the certificate does without, who demands it has the mail later."""
    token = new_token()
    gateway = start_gateway(route="mx", level="may", **shows(own))
    with serve(mode) as server:
        gateway.freeze()  # the keeper has the key
        try:
            refused = hand_over(world, "scripted.example", token)
        finally:
            os.kill(gateway.pid, signal.SIGCONT)
        assert re.fullmatch(HARMLESS, server.plain())
        if mode == ssl.CERT_OPTIONAL:
            assert refused is None and len(server.messages()) == 1 and set(server.script.shown) == {None}
        else:
            assert refused is not None and refused.startswith("4."), refused
            assert token.encode() not in server.received()
