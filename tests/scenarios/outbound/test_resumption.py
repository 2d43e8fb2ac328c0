"""A resumed TLS session shows no certificate: it is judged by what its first handshake showed."""

import ssl

import pytest
import senders
from firewall import PORT

from harness.messages import new_token
from harness.scripted_server import Remote

VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


class Resuming(Remote):
    """In one version of TLS; `resumed` tells of each handshake whether it was one of a resumed session."""

    def __init__(self, tls_context, version, **options):
        super().__init__(tls_context, **options)
        self.tls_context.minimum_version = self.tls_context.maximum_version = version
        self.version = version
        self.resumed = []

    def _watch(self, connection, name):
        if name == "HANDSHAKE!":
            self.resumed.append(connection.socket.session_reused)
        super()._watch(connection, name)

    def show(self, pair):
        """Another certificate from now on; sessions from before can still be resumed."""
        self.tls_context.load_cert_chain(pair.chain, pair.key)

    def forget(self, pair):
        """The same, and they cannot: their tickets were encrypted with a key that is gone."""
        self.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls_context.minimum_version = self.tls_context.maximum_version = self.version
        self.show(pair)


@pytest.fixture(params=VERSIONS)
def server(world, request):
    with world.serve(kind=Resuming, version=VERSIONS[request.param]) as serving:
        yield serving


@pytest.fixture
def hand_over(world, start_gateway):
    """hand_over(): None or the code of the refusal, by one gateway at the level `verify`."""
    start_gateway(route="mx", level="verify", top={"workers": 1})

    def send():
        with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
            return senders.hand_over(client, "scripted.example", new_token())

    return send


@pytest.fixture(scope="module")
def bad(world):
    return world.strangers.issue("mx.scripted.example")


def test_what_was_trusted_is_trusted_for_the_life_of_the_session(world, server, hand_over, bad):
    remote = server.script
    assert hand_over() is None
    remote.show(bad)
    assert hand_over() is None and remote.resumed == [False, True]
    # Nobody vouches for that one, once it has to be shown; nor later, for the session that it began.
    remote.forget(bad)
    assert [hand_over() for _ in range(2)] == ["4.7.5"] * 2
    assert not any(remote.resumed[2:3]) and not remote.resumed[-1]
    assert len(server.messages()) == 2


def test_what_was_not_trusted_is_asked_to_show_itself_again(world, server, hand_over, bad):
    """A better certificate counts at once, though the session from before could be resumed."""
    remote = server.script
    remote.show(bad)
    assert [hand_over() for _ in range(2)] == ["4.7.5"] * 2
    remote.show(world.scripted_pair)
    assert hand_over() is None and not remote.resumed[-1]
    assert hand_over() is None and remote.resumed[-1]
