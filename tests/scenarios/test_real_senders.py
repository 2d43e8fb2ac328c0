"""Programs of Debian that send mail, as clients of the gateway: every one that has TLS gets a message through."""

import pytest

from harness.courier import Courier
from harness.maildir import body_of, sha256
from harness.messages import PLAIN_BODIES, message, new_token
from harness.opensmtpd import OpenSmtpd
from harness.real_senders import SENDERS
from harness.sendmail import Sendmail

# What all of them leave as it was.
BODIES = ("one octet", "dots", "eight bit", "998 octets a line")
SHORT_LINES = ("dma", "sendmail")  # refuse or cut those of more than 990 octets


def bodies_for(name):
    return {which: PLAIN_BODIES[which] for which in BODIES[: 3 if name in SHORT_LINES else 4]}


@pytest.mark.parametrize("how", ["starttls", "implicit"])
@pytest.mark.parametrize("name", SENDERS)
def test_small_programs(start_gateway, build_folder, folder, sink, certificates, name, how):
    ca_file = certificates.authority.certificate
    gateway = start_gateway({"address": sink.address}, mode=how, require_tls=True)
    sender = SENDERS[name](build_folder, f"{folder}/sender", ("127.0.0.1", gateway.port(), how), ca_file)
    try:
        for which, body in bodies_for(name).items():
            token = new_token()
            sender.submit("a@example.net", "b@example.org", message(body, token))
            assert sha256(body_of(sink.maildir.wait_for(token.encode()))) == sha256(body), which
    finally:
        sender.stop()


@pytest.mark.parametrize(
    "kind, how",
    [(OpenSmtpd, "starttls"), (OpenSmtpd, "implicit"), (Sendmail, "starttls"), (Courier, "starttls")],
    ids=lambda value: getattr(value, "NAME", value),
)
def test_servers_that_hand_on_their_mail(start_gateway, build_folder, folder, sink, kind, how):
    gateway = start_gateway({"address": sink.address}, mode=how, require_tls=True)
    sender = kind(build_folder, f"{folder}/sender", relay=("127.0.0.1", gateway.port(), how))
    try:
        for which, body in bodies_for(kind.NAME).items():
            token = new_token()
            sender.submit("a@example.net", "b@elsewhere.example", message(body, token))
            assert sha256(body_of(sink.maildir.wait_for(token.encode()))) == sha256(body), which
    finally:
        sender.stop()
