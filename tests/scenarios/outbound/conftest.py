"""The world is made once for all scenarios of this folder; each has gateways of its own."""

import itertools
import os

import domains
import pytest
import world as places
from firewall import PORT
from world import World

from harness.gateway import Gateway
from harness.legacy_hosts import LegacyExim, LegacyPostfix
from harness.netns import need_namespaces


@pytest.fixture(scope="session")
def world(build_folder, session_folder):
    need_namespaces()
    made = World(build_folder, f"{session_folder}/world")
    yield made
    made.close()


@pytest.fixture(scope="session")
def legacy_postfix(world):
    routes = {domain.full: world.addresses[domain.name]["4"] for domain in domains.ASKED_LATE}
    server = LegacyPostfix(world.build_folder, f"{world.folder}/legacy-postfix", world.legacy, routes)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def legacy_exim(world):
    return LegacyExim(world.build_folder, f"{world.folder}/legacy-exim", world.legacy)


@pytest.fixture(params=["postfix", "exim"])
def legacy_host(request):
    return request.getfixturevalue(f"legacy_{request.param}")


@pytest.fixture
def make_gateway(world, postern, folder):
    """make_gateway(**settings of the listener): one that is not started. `listeners`, in place of those, maps names to
    settings, `top` are settings besides, `host` is the namespace. It serves the legacy host on all addresses.
    """
    numbers = itertools.count()

    def make(listeners=None, top=None, host=None, **listener):
        usual = {
            "listen": [f"0.0.0.0:{PORT}", f"[::]:{PORT}"],
            "allow_clients": [places.LEGACY["4"], places.LEGACY["6"]],
            "ca_file": world.authority.certificate,
        }
        outbound = {name: {**usual, **given} for name, given in (listeners or {"internet": listener}).items()}
        dns = {"servers": [places.RESOLVER], "trust_anchor": world.dns.trust_anchor}
        return Gateway(
            postern, f"{folder}/gateway{next(numbers)}", outbound=outbound, namespace=host or world.gateway,
            **{"dns": dns, **(top or {})},
        )  # fmt: skip

    return make


class WithoutDefaultAnchor:
    """The gateway's host, seen as one on which the package dns-root-data is not installed."""

    def __init__(self, host):
        self._host = host

    def command(self, *argv):
        if not os.path.isdir("/usr/share/dns"):
            return self._host.command(*argv)
        # What `ip netns exec` starts has mounts of its own.
        hide = 'mount -t tmpfs none /usr/share/dns && exec "$@"'
        return self._host.command("sh", "-c", hide, "sh", *argv)


@pytest.fixture
def host_without_default_anchor(world):
    return WithoutDefaultAnchor(world.gateway)


@pytest.fixture
def start_gateway(make_gateway, gateways):
    """make_gateway and start. See `gateways` for its end."""

    def start(*arguments, **settings):
        gateways.append(make_gateway(*arguments, **settings).start())
        return gateways[-1]

    return start
