"""A legacy client that says what a test wants, on the legacy host."""

import concurrent.futures
import contextlib

import world as places

from harness.client import Client
from harness.messages import message, new_token

# The replies that refuse a recipient: enhanced status code to reply code.
REFUSALS = {
    "4.4.1": 451, "4.4.2": 451, "4.4.3": 451, "4.4.6": 451, "4.7.4": 451, "4.7.5": 451, "4.5.3": 452, "5.1.2": 550, "5.1.10": 556,
}  # fmt: skip


@contextlib.contextmanager
def session(world, address, port=25, host=None):
    """A connection from the legacy host (or another) to the address: the gateway gets hold of it or not."""
    with (host or world.legacy).entered():
        client = Client(port, host=address)
    with client:
        yield client


def refused(reply):
    """The enhanced status code of a reply that refuses a recipient."""
    enhanced = reply.text.partition(" ")[0]
    assert reply.code == REFUSALS[enhanced], reply
    return enhanced


def hand_over(client, domain, token):
    """EHLO and one message to the domain. None, or the code of the refusal."""
    client.greeted()
    client.expect(250, "MAIL FROM:<sender@legacy.example>")
    reply = client.command(f"RCPT TO:<user@{domain}>")
    if reply.code != 250:
        return refused(reply)
    client.expect(354, "DATA")
    client.send(message(token=token) + b".\r\n")
    client.expect(250)
    client.quit()
    return None


def send(world, client, domain, token=None):
    """The same to a domain of Postfix's. What became of the message: "tls", "plain", or the code of the refusal."""
    token = token or new_token()
    return hand_over(client, domain, token) or ("tls" if world.remote.wait_for(domain, token).tls else "plain")


def outcomes(world, rows, endpoint):
    """Name to outcome for each domain, in sessions to endpoint(domain), which is address and port."""

    def outcome(domain):
        with session(world, *endpoint(domain)) as client:
            return send(world, client, domain.full)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return dict(zip((domain.name for domain in rows), pool.map(outcome, rows)))


def at_its_host(world, family=None):
    """An endpoint for outcomes(): the domain's mail host, which the rules of the router intercept."""

    def endpoint(domain):
        addresses = world.addresses[domain.name]
        return addresses[family or min(addresses)], 25

    return endpoint


def at_the_gateway(port):
    return lambda domain: (places.ROUTER_INSIDE["4"], port)
