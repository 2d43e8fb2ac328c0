"""A certificate that changes and fits no TLSA record which is published for its host: said, or held back (`guard`)."""

import contextlib
import types

import pytest

from harness.certificates import fingerprint, tlsa_data
from harness.gateway import Gateway
from harness.name_servers import Nsd, Unbound
from harness.netns import Namespace, need_namespaces
from harness.ports import PATIENCE, wait_until
from harness.scripted_server import Obedient, ScriptedServer
from harness.signed_zone import DnsTree, Zone
from test_rotation import RenamedOver, served

NSD, RESOLVER = "192.0.2.2", "192.0.2.53"
HOST = "renamedover.example.org"


@pytest.fixture(scope="module")
def names(build_folder, session_folder):
    """A host with name servers of its own. publish(*pairs): the TLSA records of the mail host are for these."""
    need_namespaces()
    with contextlib.ExitStack() as ends:
        host = Namespace("guard")
        ends.callback(host.remove)
        host.configure([f"address add {address}/32 dev lo" for address in (NSD, RESOLVER)])
        host.use_resolver(RESOLVER)
        folder = f"{session_folder}/guard"
        tree = DnsTree(build_folder, f"{folder}/dns", [Zone("."), Zone("org.")], "ns.", NSD)
        tree.add(f"{HOST}.", "A", "192.0.2.99")
        nsd = Nsd(build_folder, host, f"{folder}/nsd", tree, NSD)
        ends.callback(nsd.stop)
        servers = [nsd]

        def publish(*pairs):
            tree.remove(f"_25._tcp.{HOST}.", "TLSA")
            for pair in pairs:
                tree.add(f"_25._tcp.{HOST}.", "TLSA", tlsa_data(pair.chain, 3, 1, 1))
            tree.write()
            for server in servers:  # the one that asks the other remembers what there was
                server.stop()
                server.start()

        publish()
        servers.append(Unbound(build_folder, host, f"{folder}/resolver", tree, RESOLVER, NSD))
        ends.callback(servers[-1].stop)
        servers[-1].start()
        yield types.SimpleNamespace(host=host, anchor=tree.trust_anchor, publish=publish)


@pytest.fixture
def serve(names, postern, folder, gateways):
    """serve(guard, way): a gateway on port 25 that shows its certificate at once."""
    with contextlib.ExitStack() as ends:

        def start(guard, way):
            with names.host.entered():
                server = ScriptedServer(Obedient())
            ends.callback(server.close)
            listener = {
                "listen": ["127.0.0.1:25"], "mode": "implicit", "certificates": ["mx"], "guard": guard,
                "allow_open_relay_risk": True, "backend": {"address": server.address},
            }  # fmt: skip
            gateway = Gateway(
                postern, f"{folder}/gateway", {"mx": listener}, namespace=names.host,
                certificates={"mx": [way.as_setting()]},
                dns={"servers": [RESOLVER], "trust_anchor": names.anchor},
            )  # fmt: skip
            gateway.start()
            gateways.append(gateway)
            return gateway

        yield start


def shown(names):
    with names.host.entered():
        return served(25, HOST)


def test_what_fits_no_record_is_held_back_until_one_is_published(names, serve, folder, authority):
    way, first, second = RenamedOver(f"{folder}/way"), authority.issue(HOST), authority.issue(HOST)
    way.rotate(first)
    names.publish(first)
    gateway = serve("hold", way)
    way.rotate(second)
    gateway.wait_for_log(rf"a certificate is not taken over .*failure=guard reason=.no TLSA record of _25\._tcp\.{HOST}")
    assert shown(names) == fingerprint(first.chain)
    names.publish(first, second)
    wait_until(lambda: shown(names) == fingerprint(second.chain), "what fits now is served", 2 * PATIENCE, 0.2)


def test_one_whose_record_was_published_before_is_served_at_once(names, serve, folder, authority):
    way, first, second = RenamedOver(f"{folder}/way"), authority.issue(HOST), authority.issue(HOST)
    way.rotate(first)
    names.publish(first, second)
    gateway = serve("hold", way)
    way.rotate(second)
    wait_until(lambda: shown(names) == fingerprint(second.chain), "it is served", PATIENCE, 0.1)
    assert "not taken over" not in gateway.log()


def test_where_it_is_only_to_be_said_it_is_said_and_served(names, serve, folder, authority):
    way, first, second = RenamedOver(f"{folder}/way"), authority.issue(HOST), authority.issue(HOST)
    way.rotate(first)
    names.publish(first)
    gateway = serve("warn", way)
    way.rotate(second)
    gateway.wait_for_log(rf"a certificate does not fit its TLSA records certificate=mx host={HOST} ")
    wait_until(lambda: shown(names) == fingerprint(second.chain), "it is served all the same", PATIENCE, 0.1)
