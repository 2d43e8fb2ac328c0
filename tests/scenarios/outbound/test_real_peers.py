"""Servers of Debian on both ends: each as the legacy host that sends, and as the remote host that gets the mail in TLS."""

import subprocess

import pytest
import senders
import world as places
from firewall import PORT, firewall

from harness.aiosmtpd import AioSmtpd
from harness.chasquid import Chasquid
from harness.courier import Courier
from harness.maildir import body_of, sha256
from harness.messages import PLAIN_BODIES, message, new_token
from harness.opensmtpd import OpenSmtpd
from harness.qpsmtpd import Qpsmtpd
from harness.real_senders import SENDERS
from harness.sendmail import Sendmail
from harness.sink import Sink

BODY = b"".join(PLAIN_BODIES[name] for name in ("dots", "eight bit", "empty lines"))
REMOTES = {kind.NAME: kind for kind in (OpenSmtpd, Sendmail, Courier, Qpsmtpd, Chasquid, AioSmtpd)}
DOMAINS = ("scripted.example", "scripted-dane.example", "scripted-sts.example")


@pytest.fixture
def intercepting(world):
    with firewall(world.gateway, "nft-redirect-router"):
        yield


# --- as the remote host


@pytest.fixture(scope="module", params=REMOTES)
def remote(request, world, postern, session_folder):
    folder = f"{session_folder}/remote-{request.param}"
    usual = {
        "address": places.SCRIPTED["4"], "port": 25, "pair": world.scripted_pair, "namespace": world.internet,
        "resolver": places.RESOLVER, "domains": DOMAINS,
    }  # fmt: skip
    stores = []
    if request.param == "courier":
        stores.append(Sink(postern, f"{folder}-store", world.internet))
        usual["store"] = stores[0].port
    try:
        server = REMOTES[request.param](world.build_folder, folder, **usual)
        server.maildir = stores[0].maildir if stores else server.maildir
        yield server
        server.stop()
    finally:
        for store in stores:
            store.stop()


@pytest.fixture
def tls_remote(world, remote):
    """One that can serve TLS: OpenSMTPD of Debian 12 loses its key to OpenSSL 3, whoever the client is."""
    argv = world.internet.command("openssl", "s_client", "-starttls", "smtp", "-connect", f"{remote.address}:25")
    tried = subprocess.run(argv, input=b"QUIT\r\n", capture_output=True, check=False, timeout=90)
    if b" alert " in tried.stderr:
        pytest.skip(f"openssl cannot shake hands with this {remote.NAME} either: {remote.log().splitlines()[-1]}")
    return remote


def hand_over(client, domain, token):
    client.expect(250, "MAIL FROM:<sender@legacy.example>")
    client.expect(250, f"RCPT TO:<user@{domain}>")
    client.expect(354, "DATA")
    client.send(message(BODY, token).replace(b"\r\n.", b"\r\n..") + b".\r\n")
    client.expect(250)


def assert_stored(server, token):
    assert sha256(body_of(server.maildir.wait_for(token.encode()))) == sha256(BODY)


@pytest.mark.parametrize("route", ["original_destination", "mx"])
@pytest.mark.parametrize("domain, level", zip(DOMAINS, ("verify", "may", "may")))
def test_a_remote_host_gets_the_message_in_tls(world, start_gateway, intercepting, tls_remote, route, domain, level):
    gateway = start_gateway(route=route, level=level)
    address = places.SCRIPTED["4"] if route == "original_destination" else places.ROUTER_INSIDE["4"]
    tokens = [new_token(), new_token()]
    with senders.session(world, address, 25 if route == "original_destination" else PORT) as client:
        offered = client.greeted().keywords()
        assert "STARTTLS" not in offered
        if route == "original_destination":  # by MX it is not known yet who will be asked
            assert {"SIZE", "8BITMIME"} <= set(offered)
        for token in tokens:
            hand_over(client, domain, token)
        client.quit()
    for token in tokens:
        assert_stored(tls_remote, token)
    gateway.wait_for_log(r"(server|backend)_tls=TLSv1\.[23]")


def test_a_client_of_a_remote_host_says_everything_at_once(world, start_gateway, intercepting, tls_remote):
    start_gateway(level="encrypt")
    token = new_token()
    with senders.session(world, places.SCRIPTED["4"]) as client:
        client.greeted()
        client.send(b"MAIL FROM:<sender@legacy.example>\r\nRCPT TO:<user@scripted.example>\r\nDATA\r\n")
        assert [client.reply().code for _ in range(3)] == [250, 250, 354]
        client.send(message(BODY, token).replace(b"\r\n.", b"\r\n..") + b".\r\n")
        client.expect(250)
        client.send(b"RSET\r\nNOOP\r\nQUIT\r\n")
        assert [client.reply().code for _ in range(3)] == [250, 250, 221]
        assert client.rest() == b""
    assert_stored(tls_remote, token)


def test_a_client_goes_away_within_the_content(world, start_gateway, intercepting, tls_remote):
    half, whole = new_token(), new_token()
    gateway = start_gateway(level="encrypt")
    with senders.session(world, places.SCRIPTED["4"]) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        client.expect(250, "RCPT TO:<user@scripted.example>")
        client.expect(354, "DATA")
        client.send(message(b"half a mess", half))
    gateway.wait_for_log("ended=")
    with senders.session(world, places.SCRIPTED["4"]) as client:
        client.greeted()
        hand_over(client, "scripted.example", whole)
        client.quit()
    assert_stored(tls_remote, whole)
    assert not [stored for stored in tls_remote.maildir.messages() if half.encode() in stored]


def test_at_may_a_remote_host_gets_the_message_whatever_its_tls_is_worth(world, start_gateway, intercepting, remote):
    gateway = start_gateway(level="may")
    token = new_token()
    with senders.session(world, places.SCRIPTED["4"]) as client:
        client.greeted()
        hand_over(client, "scripted.example", token)
        client.quit()
    assert_stored(remote, token)
    gateway.wait_for_log("messages=1")


# --- as the legacy host


def smarthost(world, kind, folder):
    """A server on the legacy host that hands all its mail to the gateway, in plaintext."""
    relay = (places.ROUTER_INSIDE["4"], PORT, "plain")
    return kind(world.build_folder, f"{folder}/legacy", namespace=world.legacy, relay=relay, resolver=places.PLAIN_RESOLVER)


def by_mx(world, kind, folder):
    """... that looks up MX records, and is intercepted."""
    return kind(world.build_folder, f"{folder}/legacy", namespace=world.legacy, resolver=places.PLAIN_RESOLVER)


WAYS = {"by smarthost": smarthost, "by MX": by_mx}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [OpenSmtpd, Sendmail, Courier], ids=lambda kind: kind.NAME)
def test_a_legacy_server_sends(world, start_gateway, intercepting, folder, kind, way):
    """By MX the gateway does not know of 8BITMIME in time: Courier then sends what has more than 7 bits otherwise."""
    body = PLAIN_BODIES["dots"] if (kind, way) == (Courier, "by smarthost") else BODY
    start_gateway(route="mx" if way == "by smarthost" else "original_destination", level="encrypt")
    server = WAYS[way](world, kind, folder)
    try:
        for domain in ("trusted.example", "ee-spki-256.example"):
            token = new_token()
            server.submit("sender@legacy.example", f"user@{domain}", message(body, token))
            delivery = world.remote.wait_for(domain, token)
            assert delivery.tls.startswith("TLSv1.") and sha256(body_of(delivery.content)) == sha256(body)
    finally:
        server.stop()


@pytest.mark.parametrize("route", ["mx", "relay"])
@pytest.mark.parametrize("name", SENDERS)
def test_a_small_program_sends(world, start_gateway, folder, name, route):
    relay = {"relay": {"address": f"{world.addresses['trusted']['4']}:25", "mode": "starttls"}} if route == "relay" else {}
    start_gateway(route=route, level="encrypt", **relay)
    smarthost = (places.ROUTER_INSIDE["4"], PORT, "plain")
    sender = SENDERS[name](world.build_folder, f"{folder}/sender", smarthost, namespace=world.legacy)
    try:
        token = new_token()
        sender.submit("sender@legacy.example", "user@trusted.example", message(BODY, token))
        delivery = world.remote.wait_for("trusted.example", token)
        assert delivery.tls.startswith("TLSv1.") and sha256(body_of(delivery.content)) == sha256(BODY)
    finally:
        sender.stop()
