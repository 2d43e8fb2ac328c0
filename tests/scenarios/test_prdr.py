"""Exim at both ends, with PRDR on as Debian has it: several recipients in one transaction, each served once."""

import collections
import re

import pytest

from harness.exim import Exim
from harness.gateway import Gateway
from harness.messages import message, new_token
from harness.ports import wait_until

SENDER = "sender@example.org"


@pytest.fixture(scope="module")
def far_exim(exim, build_folder, session_folder, authority):
    """The server; `exim` is the client. All that the client sends through a gateway stays there."""
    server = Exim(build_folder, f"{session_folder}/far-exim", authority, domains="*.test")
    yield server
    server.stop()


@pytest.fixture
def start_outbound(postern, folder, certificates, gateways):
    """A gateway with `route: relay`, which offers TLS to its clients."""

    def start(server):
        listener = {
            "route": "relay",
            "relay": {"address": f"127.0.0.1:{server.port}"},
            "mode": "starttls",
            "certificates": ["mx"],
        }
        gateway = Gateway(
            postern, f"{folder}/outbound", outbound={"mx": listener},
            certificates={"mx": [certificates.ecdsa.as_setting()]},
        )  # fmt: skip
        gateways.append(gateway.start())
        return gateway

    return start


def deliveries(server, token):
    """Recipient to how often the message has been stored for it."""
    found = collections.Counter()
    for stored in server.maildir.messages():
        if token in stored:
            found[re.search(rb"(?mi)^envelope-to: (\S+)", stored).group(1).decode().partition("@")[0]] += 1
    return dict(found)


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
@pytest.mark.parametrize("refused", [[], ["unknown"], ["unknown", "unwilling"]])
def test_every_recipient_is_served_once(start_gateway, start_outbound, exim, far_exim, direction, refused):
    if direction == "inbound":
        gateway = start_gateway({"address": f"127.0.0.1:{far_exim.port}"})
    else:
        gateway = start_outbound(far_exim)
    token = new_token()
    domain = f"starttls13.p{gateway.port()}.test"
    names = ["one", "two", *refused]
    exim.submit(SENDER, [f"{name}@{domain}" for name in names], message(token=token).replace(b"\r\n", b"\n"))
    log = exim.log()
    key = re.search(rf"(\S+) <= {SENDER} .*id={token}@", log).group(1)
    outcomes = dict(re.findall(rf"{key} (..) (\S+)@{re.escape(domain)}", log))
    assert "==" not in outcomes, log[-3000:]  # nothing is left for another attempt
    assert set(re.findall(rf"{key} \*\* (\S+)@", log)) == {"unknown"}.intersection(names)
    # Who would only be refused after the content is not: that takes PRDR.
    expected = {name: 1 for name in names if name != "unknown"}
    # The far server stores what it has accepted a moment later.
    wait_until(lambda: len(deliveries(far_exim, token.encode())) == len(expected), "a delivery to each recipient")
    assert deliveries(far_exim, token.encode()) == expected
