"""The name servers stop: what must be known is not guessed. Mail waits, and goes out when they are back."""

import domains
import senders
from firewall import firewall

from harness.messages import message, new_token


def test_mail_waits_for_the_name_servers(world, start_gateway, legacy_postfix):
    start_gateway()
    domain, token = domains.named("asked-late"), new_token()
    with firewall(world.gateway, "nft-redirect-router"):
        world.nsd.stop()
        try:
            with senders.session(world, world.addresses[domain.name]["4"]) as client:
                assert senders.send(world, client, domain.full) == "4.4.3"
            identifier = legacy_postfix.submit([f"user@{domain.full}"], message(token=token))
            legacy_postfix.wait_for_log(rf"{identifier}: to=.*status=deferred .*451 4\.4\.3")
        finally:
            world.nsd.start()
        assert world.remote.wait_for(domain.full, token).tls
