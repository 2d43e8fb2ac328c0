"""The gateway opens nothing outside `state_directory`: mail goes out where it could not, with policies and a new password."""

import os

import domains
import senders
from firewall import PORT
from test_relay import SECRET, Relay, responses, secret_file, send, with_relay  # noqa: F401

from harness.ports import wait_until


def test_mail_goes_to_verified_hosts(world, closed_tree, start_gateway):
    gateway = start_gateway(route="mx", level="verify", top={"state_directory": closed_tree, "user": "nobody"})
    gateway.wait_for_log("closed_tree: nothing is open but")
    for name in ("trusted", "untrusted-ca", "sts", "sts-not-listed"):
        domain = domains.named(name)
        with senders.session(world, *senders.at_the_gateway(PORT)(domain)) as client:
            assert senders.send(world, client, domain.full) == domain.expected("verify")
    wait_until(lambda: os.listdir(closed_tree), "a policy is kept")


def test_a_password_is_rotated(world, closed_tree, start_gateway, secret_file):  # noqa: F811
    gateway = start_gateway(**with_relay(secret_file), top={"state_directory": closed_tree, "user": "nobody"})
    with world.serve(kind=Relay) as server:
        assert send(world) is None
        with open(secret_file, "w", encoding="ascii") as file:
            file.write("newsesame\n")
        wait_until(lambda: "a file was read again" in gateway.log(), "it is read again")
        assert send(world) is None
        passwords = [response.rpartition(b"\0")[2] for response in responses(server)]
        assert passwords == [SECRET.encode(), b"newsesame"]
