"""Mail servers without TLS deliver through Postern, by the firewall rules of docs/firewall and of `postern intercept`."""

import contextlib

import domains
import pytest
import senders
import world as places
from firewall import PORT, SOCKET_MARK, firewall

from harness.maildir import body_of
from harness.messages import PLAIN_BODIES, message, new_token

INTERCEPT_ROUTER = ["postern-redirect-router", "postern-tproxy-router"]
INTERCEPT_HOST = ["postern-redirect-host", "postern-tproxy-host"]
ROUTER = ["nft-redirect-router", "nft-tproxy", "iptables-redirect-router", "iptables-tproxy", *INTERCEPT_ROUTER]
HOST = ["nft-redirect-host", "iptables-redirect-host", *INTERCEPT_HOST]
BY_FAMILY = {"4": "ee-spki-256", "6": "ee-six"}  # their policy is DANE: nothing else would do


@pytest.fixture(params=["4", "6"])
def family(request):
    return request.param


def delivered(world, legacy_host, name, **options):
    token, domain = new_token(), domains.named(name)
    legacy_host.submit([f"user@{domain.full}"], message(token=token, **options))
    return world.remote.wait_for(domain.full, token)


@pytest.mark.parametrize("rules", ROUTER)
def test_through_a_router(world, start_gateway, legacy_host, rules, family):
    start_gateway(interception="tproxy" if "tproxy" in rules else "redirect", level="dane-only")
    with firewall(world.gateway, rules):
        delivery = delivered(world, legacy_host, BY_FAMILY[family])
    assert (delivery.tls, delivery.client) == ("TLSv1.3", places.ROUTER_OUTSIDE[family])


@pytest.mark.parametrize("rules", ["nft-tproxy", "iptables-tproxy"])
def test_with_the_address_of_the_client(world, start_gateway, legacy_postfix, rules, family):
    start_gateway(interception="tproxy", source="client", level="dane-only")
    with firewall(world.gateway, rules):
        delivery = delivered(world, legacy_postfix, BY_FAMILY[family])
    assert (delivery.tls, delivery.client) == ("TLSv1.3", places.LEGACY[family])


def test_with_an_address_that_was_chosen(world, start_gateway, legacy_postfix):
    start_gateway(source=places.ROUTER_INSIDE["4"])
    with firewall(world.gateway, "nft-redirect-router"):
        assert delivered(world, legacy_postfix, "trusted").client == places.ROUTER_INSIDE["4"]


@contextlib.contextmanager
def intercepting(gateway, *words):
    """`postern intercept` with the configuration that runs, where it runs."""
    command = [gateway.binary, "intercept", words[0], "--config", gateway.configuration]
    gateway.namespace.run(*command, *words[1:])
    try:
        yield
    finally:
        gateway.namespace.run(gateway.binary, "intercept", "off", "--config", gateway.configuration)


@pytest.mark.parametrize("by", ["redirect", "tproxy"])
def test_intercepted_with_the_address_of_the_client(world, start_gateway, legacy_postfix, by, family):
    gateway = start_gateway(interception=by, source="client", level="dane-only")
    with intercepting(gateway, "on", "--confirm"):
        delivery = delivered(world, legacy_postfix, BY_FAMILY[family])
    assert (delivery.tls, delivery.client) == ("TLSv1.3", places.LEGACY[family])


def test_intercepted_where_postern_runs_as_a_user_of_its_own(world, start_gateway, legacy_postfix, family):
    """Which its connections are told by, without socket_mark; and on addresses that are neither loopback nor all."""
    own = places.LEGACY
    gateway = start_gateway(
        host=world.legacy, top={"user": "nobody"}, level="dane-only", allow_clients=list(own.values()),
        listen=[f"{own['4']}:{PORT}", f"[{own['6']}]:{PORT}"],
    )  # fmt: skip
    with intercepting(gateway, "on", "--confirm", "--host"):
        delivery = delivered(world, legacy_postfix, BY_FAMILY[family])
    assert (delivery.tls, delivery.client) == ("TLSv1.3", own[family])


def test_a_reset_for_what_no_listener_can_take(world, start_gateway):
    """Over IPv6, where it listens on IPv4 only: nothing gets past in plaintext."""
    gateway = start_gateway(
        host=world.legacy, listen=[f"127.0.0.1:{PORT}"], socket_mark=SOCKET_MARK, allow_clients=[places.LEGACY["4"]]
    )
    with intercepting(gateway, "on", "--confirm"):
        with pytest.raises(ConnectionRefusedError):
            with senders.session(world, world.addresses["dual"]["6"]):
                pass
        with senders.session(world, world.addresses["dual"]["4"]) as client:
            assert client.reply().raw.startswith(b"220 ")


@pytest.mark.parametrize("rules", HOST)
def test_on_the_machine_of_the_legacy_server(world, start_gateway, legacy_host, rules, family):
    everywhere = rules.startswith("postern-")  # where the rules are told that it listens
    start_gateway(
        host=world.legacy,
        interception="tproxy" if "tproxy" in rules else "redirect",
        listen=[f"0.0.0.0:{PORT}", f"[::]:{PORT}"] if everywhere else [f"127.0.0.1:{PORT}", f"[::1]:{PORT}"],
        allow_clients=["127.0.0.0/8", "::1/128", *places.LEGACY.values()],
        socket_mark=SOCKET_MARK,
        level="dane-only",
    )
    with firewall(world.legacy, rules):
        delivery = delivered(world, legacy_host, BY_FAMILY[family])
    assert (delivery.tls, delivery.client) == ("TLSv1.3", places.LEGACY[family])


@pytest.mark.parametrize("body", PLAIN_BODIES)
def test_content_arrives_as_it_was(world, start_gateway, legacy_host, body):
    """Postfix sends it by DATA, Exim by BDAT."""
    start_gateway(level="encrypt")
    with firewall(world.gateway, "nft-redirect-router"):
        delivery = delivered(world, legacy_host, "trusted", body=PLAIN_BODIES[body])
    assert delivery.tls and body_of(delivery.content) == PLAIN_BODIES[body]


def test_what_is_refused_waits_at_the_legacy_server(world, start_gateway, legacy_postfix):
    """A policy that is not met: 4yz, kept; it is delivered once the operator is content with less."""
    token = new_token()
    recipients = ["user@dane-mismatch.example", "user@self-signed.example", "user@trusted.example"]
    with firewall(world.gateway, "nft-redirect-router"):
        gateway = start_gateway(level="verify")
        identifier = legacy_postfix.submit(recipients, message(token=token))
        assert world.remote.wait_for("trusted.example", token).tls
        for domain in ("dane-mismatch", "self-signed"):
            deferred = rf"to=<user@{domain}\.example>.* status=deferred .*said: 451 4\.7\.5 mx\.{domain}"
            legacy_postfix.wait_for_log(deferred)
        gateway.stop()
        start_gateway(level="encrypt", dane=False)
        legacy_postfix.wait_until_done(identifier)
    for recipient in recipients:
        assert world.remote.wait_for(recipient.partition("@")[2], token).tls


def test_a_session_to_the_same_host_is_resumed(world, start_gateway, legacy_postfix):
    """And is no worse than one with a full handshake. Only after the first one is the name for SNI known."""
    gateway = start_gateway(level="dane-only", top={"workers": 1})
    with firewall(world.gateway, "nft-redirect-router"):
        for _ in range(3):
            delivered(world, legacy_postfix, "ee-spki-256")
        gateway.wait_for_log(r"session ended .*server_resumed=true.* level_reached=dane\b.* messages=1")
