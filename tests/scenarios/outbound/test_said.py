"""What the log says of recipients that were turned away, and of mail that left without TLS."""

import pytest
import senders
import world as places
from firewall import PORT, firewall

from harness.messages import message, new_token


def the_line(gateway):
    return gateway.wait_for_log("[^\n]*session ended[^\n]*\n").group(0)


def test_a_second_domain_is_named_with_its_refusal(world, start_gateway):
    gateway = start_gateway(route="mx")
    with world.serve(), senders.session(world, places.ROUTER_INSIDE["4"], PORT) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        client.expect(250, "RCPT TO:<user@scripted.example>")
        client.expect(452, "RCPT TO:<other@trusted.example>")
        client.quit()
    line = the_line(gateway)
    refused = "452 4.5.3 One recipient domain in each message, send this one again"
    assert f'refused="RCPT: {refused} [other_domain]"' in line
    assert f"to=<user@scripted.example> refused=<other@trusted.example> ({refused})" in line


def test_a_recipient_whose_policy_is_not_satisfied(world, start_gateway):
    gateway = start_gateway(route="mx", level="encrypt")
    with world.serve(offer="XXXXXXXA"), senders.session(world, places.ROUTER_INSIDE["4"], PORT) as client:
        client.greeted()
        client.expect(250, "MAIL FROM:<sender@legacy.example>")
        assert senders.refused(client.command("RCPT TO:<user@scripted.example>")) == "4.7.4"
        client.quit()
    line = the_line(gateway)
    assert 'refused="RCPT: 451 4.7.4 mx.scripted.example: ' in line
    assert "from=<sender@legacy.example> refused=<user@scripted.example> (451 4.7.4 " in line


@pytest.mark.parametrize(
    "options, reason, detail",
    [
        ({"offer": "XXXXXXXA"}, "starttls_not_offered", ""),
        ({"replies": {"STARTTLS": "454 4.7.0 not now\r\n"}}, "starttls_refused", "454 4.7.0 not now"),
        ({"dies_at": "HELLO?"}, "starttls_closed", ""),
        ({"dies_at": "TLS EHLO?"}, "starttls_closed", ""),
    ],
)
@pytest.mark.parametrize("route", ["original_destination", "mx"])
def test_mail_that_leaves_without_tls_says_why(world, start_gateway, route, options, reason, detail):
    gateway = start_gateway(route=route)
    where = (places.ROUTER_INSIDE["4"], PORT) if route == "mx" else (places.SCRIPTED["4"], 25)
    with world.serve(**options), firewall(world.gateway, "nft-redirect-router"):
        with senders.session(world, *where) as client:
            client.greeted()
            client.send_message("sender@legacy.example", ["user@scripted.example"], message(token=new_token()))
            client.quit()
    for line in (the_line(gateway), gateway.wait_for_log("[^\n]* policy decision [^\n]*").group(0)):
        assert f" plaintext={reason}" in line and detail in line, line
    assert "reply=(250 2.0.0 message accepted)" in the_line(gateway)
