"""Mail servers without TLS deliver through Postern, by the firewall rules of docs/firewall."""

import domains
import pytest
import world as places
from firewall import PORT, SOCKET_MARK, firewall

from harness.maildir import body_of
from harness.messages import PLAIN_BODIES, message, new_token

ROUTER = ["nft-redirect-router", "nft-tproxy", "iptables-redirect-router", "iptables-tproxy"]
HOST = ["nft-redirect-host", "iptables-redirect-host"]
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


@pytest.mark.parametrize("rules", HOST)
def test_on_the_machine_of_the_legacy_server(world, start_gateway, legacy_host, rules, family):
    start_gateway(
        host=world.legacy,
        listen=[f"127.0.0.1:{PORT}", f"[::1]:{PORT}"],
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
