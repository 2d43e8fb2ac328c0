"""Certificates of remote servers and policy hosts: chains with twins, names that do not count, large curves."""

import ssl

import pytest
import senders
import world as places
from firewall import PORT
from world import policy_text, server_context

from harness.certificates import Pair
from harness.messages import new_token
from harness.scripted_server import Remote, ScriptedServer

HOST = "mx.scripted.example"


def hand_over(world, domain):
    with senders.session(world, *senders.at_the_gateway(PORT)(None)) as client:
        return senders.hand_over(client, domain, new_token())


def serve(world, pair):
    with world.internet.entered():
        return ScriptedServer(Remote(server_context(pair)), host=places.SCRIPTED["4"], port=25)


def joined(path, *parts):
    with open(path, "w", encoding="ascii") as out:
        for part in parts:
            with open(part, encoding="ascii") as piece:
                out.write(piece.read())
    return path


@pytest.mark.parametrize("order", ["in front", "behind"])
def test_an_expired_authority_hides_none(world, start_gateway, folder, order):
    """Of the same name and key, in the `ca_file` as in what the server sends."""
    in_order = list if order == "in front" else lambda pair: pair[::-1]
    root = world.authority
    middle = root.intermediate(f"Middle {order}")
    roots = in_order([root.certify(root, days=-1), root.certificate])
    middles = in_order([root.certify(middle, days=-1), middle.certificate])
    leaf = middle.issue(HOST)
    start_gateway(route="mx", level="verify", ca_file=joined(f"{folder}/cas.pem", *roots))
    with serve(world, leaf):
        assert hand_over(world, "scripted.example") is None
    chain = joined(f"{folder}/chain.pem", leaf.chain.replace(".pem", ".crt"), *middles)
    with serve(world, Pair(chain, leaf.key)):
        assert hand_over(world, "scripted.example") is None


def test_a_common_name_is_told_from_a_name(world, start_gateway):
    gateway = start_gateway(route="mx", level="verify")
    with serve(world, world.authority.issue(HOST, names=[])):
        assert hand_over(world, "scripted.example") == "4.7.5"
    gateway.wait_for_log(r"it has a common name only \(mx\.scripted\.example\), and no subjectAltName")


@pytest.mark.parametrize("kind", ["p384", "p521"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLSv1.2", "TLSv1.3"])
def test_a_policy_host_with_a_large_curve_is_heard(world, start_gateway, kind, version):
    domain, host = "scripted-sts.example", "mta-sts.scripted-sts.example"
    pair = world.authority.issue(host, kind)
    world.policy_host.limit(pair, version)
    before = world.policy_host.pairs[host], world.policy_host.answers[host]
    world.policy_host.publish(domain, policy_text("enforce", [f"mx.{domain}"]), pair)
    try:
        start_gateway(route="mx", level="may")
        with serve(world, world.strangers.issue(f"mx.{domain}")) as server:
            assert hand_over(world, domain) == "4.7.5"
            assert not any(connection.messages for connection in server.connections)
    finally:
        world.policy_host.pairs[host], world.policy_host.answers[host] = before
