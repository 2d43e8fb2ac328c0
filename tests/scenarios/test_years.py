"""Years in minutes: reloads, other certificates and other binaries, while many send mail both ways and nothing is lost."""

import itertools
import os
import re
import signal
import time

import pytest

from harness.certificates import fingerprint
from harness.daemon import children_of, open_descriptors, own_kib, resident_kib, share_kib, words_of
from harness.gateway import write_configuration
from harness.ports import PATIENCE, free_port, wait_until
from harness.traffic import Traffic
from test_rotation import WAYS, name_of, served
from test_upgrade import alive, started_from_a_file_of_its_own

DRAINING = "421 4.3.2 Service is shutting down, try again"
LONG = 10 * PATIENCE


class Service:
    """A gateway with a certificate for each way of changing one, mail that goes in and out, and what may happen to it."""

    def __init__(self, start, traffic, authority, folder):
        self.ways = [way(f"{folder}/{way.__name__}") for way in WAYS]
        for way in self.ways:
            way.rotate(authority.issue(name_of(way)))
        names = [name_of(way) for way in self.ways]
        behind = {"allow_open_relay_risk": True, "backend": {"address": traffic.behind.address}, "certificates": names,
                  "limits": {"sessions_per_client": 0}}  # fmt: skip
        relay = {"route": "relay", "relay": {"address": traffic.relay.address, "mode": "implicit"}, "level": "encrypt",
                 "dane": False, "mta_sts": False}  # fmt: skip
        self.upgradable = start(
            inbound={"mx": {"mode": "implicit", **behind}, "old": {"mode": "starttls", **behind}},
            outbound={"net": relay}, certificates={name_of(way): [way.as_setting()] for way in self.ways},
            dns={"servers": [f"127.0.0.1:{free_port()}"]}, drain={"spread": "1s"}, upgrade_grace="120s",
        )  # fmt: skip
        self.gateway = self.upgradable.gateway
        self.authority = authority
        self.inbound = dict(self.gateway.settings["inbound"])
        self.outbound = {"net": dict(self.gateway.settings["outbound"]["net"])}
        self.comes_and_goes = {"mode": "none", **behind, "listen": [f"127.0.0.1:{free_port()}"]}
        self.numbers = itertools.count(1)
        self.next_way = itertools.cycle(self.ways)

    def ports(self):
        return [(self.gateway.port("mx"), "implicit"), (self.gateway.port("old"), "starttls"), (self.gateway.port("net"), "none")]

    def _said(self, what):
        return len(re.findall(what, self.gateway.log()))

    def reload(self):
        """Another name of its own, another limit, and a listener that was not there, or is no more."""
        number, said = next(self.numbers), self._said("the configuration was taken over")
        some = {**self.inbound, "goes": self.comes_and_goes} if number % 2 else self.inbound
        some = {**some, "mx": {**some["mx"], "limits": {"sessions_per_client": 0, "sessions": 5000 + number}}}
        settings = {"hostname": f"host{number}.example.org", "inbound": some}
        write_configuration(self.gateway.configuration, {**self.gateway.settings, **settings})
        os.kill(self.upgradable.pid, signal.SIGHUP)
        wait_until(lambda: self._said("the configuration was taken over") > said, f"reload {number}", LONG)

    def rotate(self):
        """The next way of changing a certificate."""
        way = next(self.next_way)
        pair = self.authority.issue(name_of(way))
        way.rotate(pair)
        way.complete(pair)
        wait_until(
            lambda: served(self.gateway.port("mx"), name_of(way)) == fingerprint(pair.chain), f"{name_of(way)} is served",
            LONG, 0.1,
        )  # fmt: skip

    def upgrade(self):
        self.upgradable.replace()
        self.upgradable.upgrade(LONG)

    def upgrade_to_one_that_dies(self):
        said = self._said("no upgrade")
        self.upgradable.replace("#!/bin/sh\nexit 3\n")
        self.upgradable.ask()
        wait_until(lambda: self._said("no upgrade") > said, "it came to nothing", LONG)

    def processes(self):
        """Name to process id, of those that serve now."""
        pid = self.upgradable.pid
        found = {"keeper": pid}
        for child in children_of(pid):
            words = words_of(child)
            if words[:2] == ["postern", "gateway"]:
                found["gateway"] = child
            elif words[:1] == ["postern-resolver"]:
                found["resolver"] = child
        return found

    def resident(self):
        """Name to KiB that are in RAM, its share of those where others have them, too, and what it wrote itself."""
        return {name: (resident_kib(pid), share_kib(pid), own_kib(pid)) for name, pid in self.processes().items()}

    def memory(self):
        """KiB that the processes wrote themselves, once that is no longer becoming less."""
        before = [self.gateway.pid, *self.upgradable.others]
        before.remove(self.upgradable.pid)
        wait_until(lambda: not any(alive(pid) for pid in before), "the ones before have ended", LONG)

        def sum_of():
            return sum(own_kib(pid) for pid in self.processes().values())

        least, since = sum_of(), time.monotonic()
        while time.monotonic() - since < 5:
            time.sleep(0.5)
            if (now := sum_of()) < least:
                least, since = now, time.monotonic()
        return least


@pytest.fixture
def traffic(certificates):
    with Traffic(certificates.other) as traffic:
        yield traffic


@pytest.fixture
def start(postern, folder, gateways):
    """jemalloc gives pages back as soon as they are free: what is measured is in use."""
    environment = {"MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0"}
    return lambda **settings: started_from_a_file_of_its_own(postern, folder, gateways, environment, **settings)


def check(traffic):
    """No session lost, none refused or reset, and each message that was accepted arrived once."""
    assert traffic.problems == []
    assert set(traffic.told) <= {DRAINING}
    arrived = traffic.behind.tokens + traffic.relay.tokens
    assert len(traffic.accepted) == len(set(traffic.accepted)) == arrived.total()
    assert arrived.keys() == set(traffic.accepted)
    assert traffic.behind.tokens and traffic.relay.tokens


def many(service, reloads, rotations):
    """That many of both, evenly mixed."""
    for number in range(reloads):
        service.reload()
        if (number + 1) * rotations // reloads > number * rotations // reloads:
            service.rotate()


def test_reloads_rotations_and_upgrades_cost_nobody_anything(start, traffic, authority, folder):
    service = Service(start, traffic, authority, folder)
    traffic.flow(service.ports(), 40, pause=0.2)
    service.upgrade()
    many(service, 4, 2)
    service.upgrade_to_one_that_dies()
    many(service, 4, 2)
    service.upgrade()
    traffic.rest()
    check(traffic)
    service.upgradable.stop()


@pytest.mark.full
def test_for_years(start, traffic, authority, folder, honest_memory, capsys):
    """200 senders, 50 reloads, 20 rotations, 5 upgrades of which two come to nothing.

    The memory that keeper, gateway and resolver wrote themselves is compared between moments when nobody is there, after
    the same things have happened to them, since an allocator's pages are not full: ten reloads and four rotations under
    full load. First of the processes that were started, then of the last ones that took their place, and of these again
    after twice as much. One such moment differs from another by some 5 %, whatever came between: the averages of the
    soak below tell more.
    """
    service = Service(start, traffic, authority, folder)
    memory = {}

    def measure(when):
        traffic.rest()
        memory[when] = service.memory()
        traffic.flow()

    traffic.flow(service.ports(), 200, pause=0.7)
    many(service, 10, 4)
    measure("the first one")
    for number in range(5):
        if number % 2:
            service.upgrade_to_one_that_dies()
        else:
            service.upgrade()
        many(service, 2, 1 if number else 0)
    many(service, 10, 4)
    measure("the last one")
    descriptors = {name: open_descriptors(pid) for name, pid in service.processes().items()}
    many(service, 20, 8)
    measure("the last one later")
    traffic.rest()
    with capsys.disabled():
        print(f"\n{traffic.sessions} sessions, {len(traffic.accepted)} messages, told to come again {dict(traffic.told)}; "
              f"own KiB of the processes: {memory}")  # fmt: skip
    check(traffic)
    assert next(service.numbers) == 51
    for before, after in itertools.pairwise(memory.values()):
        assert after < 1.1 * before, memory
    for name, pid in service.processes().items():
        assert open_descriptors(pid) <= descriptors[name], name
    service.upgradable.stop()


@pytest.mark.full
def test_a_soak_finds_memory_flat(start, traffic, authority, folder, honest_memory, capsys):
    """Some clients come and go for 24 minutes, with a reload or another certificate every few seconds. What the
    processes have in RAM after four of these minutes, on the average of four, they have in the last four, too.
    """
    service = Service(start, traffic, authority, folder)
    seen, before = [], service.processes()
    traffic.flow(service.ports(), 30, pause=1)
    begun = time.monotonic()
    while (minutes := (time.monotonic() - begun) / 60) < 24:
        if len(seen) <= minutes * 2:
            seen.append(service.resident())
            if len(seen) % 4 == 1:
                descriptors = {name: open_descriptors(pid) for name, pid in service.processes().items()}
                with capsys.disabled():
                    print(f"\n{minutes:4.1f} min: KiB resident, share, own {seen[-1]}, descriptors {descriptors}, "
                          f"{traffic.sessions} sessions", end="", flush=True)  # fmt: skip
        many(service, 2, 1)
        time.sleep(8)
    traffic.rest()
    check(traffic)
    assert service.processes() == before
    for name, kind in itertools.product(before, (0, 2)):
        after_warming_up, at_the_end = (
            sum(each[name][kind] for each in some) / len(some) for some in (seen[8:16], seen[-8:])
        )
        assert at_the_end < 1.05 * after_warming_up, f"{name}: {after_warming_up} KiB, {at_the_end} KiB"
    service.upgradable.stop()
