"""Who may use an outbound listener, how, and what cannot be a way to anywhere."""

import socket
import ssl

import domains
import pytest
import senders
import world as places
from firewall import PORT, firewall

from harness.client import tls_context
from harness.messages import message, new_token


@pytest.mark.parametrize("route", ["original_destination", "mx"])
def test_others_are_turned_away(world, start_gateway, route):
    start_gateway(route=route, allow_clients=["198.51.100.99"])
    with firewall(world.gateway, "nft-redirect-router"):
        port = 25 if route == "original_destination" else PORT
        address = world.addresses["trusted"]["4"] if port == 25 else places.ROUTER_INSIDE["4"]
        with senders.session(world, address, port) as client:
            assert client.reply().raw.startswith(b"554 5.7.1 ")
            assert client.rest() == b""


@pytest.mark.parametrize("rules", ["nft-redirect-router", "nft-tproxy"])
@pytest.mark.parametrize("family", ["4", "6"])
def test_a_connection_that_was_not_intercepted_leads_nowhere(world, start_gateway, rules, family):
    gateway = start_gateway(interception="tproxy" if "tproxy" in rules else "redirect")
    with firewall(world.gateway, rules), senders.session(world, places.ROUTER_INSIDE[family], PORT) as client:
        assert client.reply().raw.startswith(b"421 4.4.6 ")
        assert client.rest() == b""
    gateway.wait_for_log("ended=routing_loop")


@pytest.mark.parametrize("rules", ["nft-redirect-host", "iptables-redirect-host"])
@pytest.mark.parametrize("family", ["4", "6"])
@pytest.mark.parametrize("route", ["original_destination", "mx"])
def test_our_own_connections_led_back_to_us_end_there(world, start_gateway, rules, family, route):
    """On the legacy server's machine, with a socket_mark that was forgotten."""
    listeners = {"internet": {}, "smarthost": {"route": "mx", "listen": [f"127.0.0.1:{PORT + 1}"]}}
    listeners["smarthost"]["allow_clients"] = ["127.0.0.0/8"]
    gateway = start_gateway(listeners, host=world.legacy)
    with firewall(world.legacy, rules):
        if route == "mx":
            domain = {"4": "trusted.example", "6": "six.example"}[family]
            with senders.session(world, "127.0.0.1", PORT + 1) as client:
                client.greeted()
                client.expect(250, "MAIL FROM:<sender@legacy.example>")
                reply = client.command(f"RCPT TO:<user@{domain}>")
                assert senders.refused(reply) == "4.4.1" and ": 421 4.4.6 " in reply.text
        else:
            with senders.session(world, world.addresses["dual"][family]) as client:
                assert client.reply().raw.startswith(b"421 4.4.6 ")
    # The client's session and ours, not thousands.
    gateway.wait_for_log(r"(?s)ended=.*ended=.*\n")
    lines = [line for line in gateway.log().splitlines() if "ended=" in line]
    ours = [line for line in lines if "ended=routing_loop" in line]
    assert (len(lines), len(ours)) == (2, 1), lines
    assert "socket_mark" in ours[0]


@pytest.mark.parametrize("listen", [["0.0.0.0"], [places.ROUTER_INSIDE["4"], places.ROUTER_OUTSIDE["4"]]])
def test_by_mx_nothing_is_sent_to_ourselves(world, start_gateway, listen):
    own = [places.ROUTER_INSIDE["4"], places.ROUTER_OUTSIDE["4"]]
    gateway = start_gateway(route="mx", listen=[f"{address}:25" for address in listen], allow_clients=["0.0.0.0/0"])
    with senders.session(world, places.ROUTER_INSIDE["4"], 25) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        for address in (*own, "127.0.0.1", "127.9.9.9", "0.0.0.0"):
            assert senders.refused(client.command(f"RCPT TO:<user@[{address}]>")) == "4.4.6"
        client.expect(250, "RCPT TO:<user@trusted.example>")
        client.expect(221, "QUIT")
    gateway.wait_for_log("policy_reason=routing_loop")
    gateway.wait_for_log("ended=quit")
    assert gateway.log().count("ended=") == 1


def test_by_mx_every_address_of_this_machine_is_ours(world, start_gateway):
    """Whoever listens there, and whatever the ports of our listeners are; and so are hosts that are no better."""
    start_gateway(route="mx")
    with world.gateway.entered():
        another = socket.create_server((places.ROUTER_OUTSIDE["4"], 25))
    with another, senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
        another.settimeout(0.2)
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        for domain in (domains.LOOPING[0].full, f"[{places.ROUTER_OUTSIDE['4']}]", f"[IPv6:{places.ROUTER_INSIDE['6']}]"):
            assert senders.refused(client.command(f"RCPT TO:<user@{domain}>")) == "4.4.6"
        with pytest.raises(TimeoutError):
            another.accept()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", ["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_old_tls_in_modern_tls_out(world, start_gateway, version, mode, certificates):
    start_gateway(
        route="mx", mode=mode, certificates=["device"], min_version="TLSv1.0",
        top={"certificates": {"device": [certificates.rsa.as_setting()]}},
    )  # fmt: skip
    context = tls_context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    number = {"TLSv1.0": "TLSv1"}.get(version, version.replace(".", "_"))
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, number)
    token = new_token()
    with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
        if mode == "implicit":
            client.start_tls(context)
            client.greeted()
        else:
            assert "STARTTLS" in client.greeted().keywords()
            client.starttls(context)
            client.expect(250, "EHLO device.example")
        assert client.socket.version() == {"TLSv1.0": "TLSv1"}.get(version, version)
        client.send_message("sender@legacy.example", ["user@tls13.example"], message(token=token))
        client.quit()
    assert world.remote.wait_for("tls13.example", token).tls == "TLSv1.3"
