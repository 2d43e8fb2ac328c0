"""The file from which DNSSEC is validated: read while we may, and never passed over in silence."""

import os
import re
import shutil
import subprocess

import domains
import pytest
import senders
from firewall import PORT

WITHOUT_DANE, WITH_DANE = domains.named("untrusted-ca"), domains.named("ee-spki-full")


def answered(world, domain):
    with senders.session(world, *senders.at_the_gateway(PORT)(domain)) as client:
        return senders.send(world, client, domain.full)


@pytest.fixture
def safe(world, folder):
    """A copy of the anchor that root alone may read, in a folder that root alone may enter."""
    path = f"{folder}/safe/root.key"
    os.mkdir(os.path.dirname(path), 0o700)
    shutil.copy(world.dns.trust_anchor, path)
    os.chmod(path, 0o600)
    return path


def without(key, setting):
    return {name: value for name, value in setting.items() if name != key}


def dns(gateway, **changes):
    return {**gateway.settings["dns"], **changes}


def test_one_for_root_alone_counts_for_whom_root_becomes(world, make_gateway, start_gateway, safe):
    settings = dns(make_gateway(route="mx"), trust_anchor=safe)
    gateway = start_gateway(route="mx", level="dane-only", top={"user": "nobody", "dns": settings})
    with open(f"/proc/{gateway.serving}/status", encoding="ascii") as status:
        assert re.search(r"^Uid:\s+65534\s", status.read(), re.MULTILINE)
    assert (answered(world, WITH_DANE), answered(world, WITHOUT_DANE)) == ("tls", "4.7.5")


def test_so_does_a_resolv_conf_for_root_alone(world, make_gateway, start_gateway, safe):
    """Which the resolvers of all workers read."""
    settings = without("servers", dns(make_gateway(route="mx"), trust_anchor=safe))
    path = f"/etc/netns/{world.gateway.name}/resolv.conf"
    os.chmod(path, 0o600)
    try:
        start_gateway(route="mx", level="dane-only", top={"user": "nobody", "workers": 3, "dns": settings})
        assert answered(world, WITH_DANE) == "tls"
    finally:
        os.chmod(path, 0o644)


# What is wrong with it, the user that finds out, and what is said.
USELESS = {
    "it is not there": (lambda path: os.remove(path), "root", "No such file or directory"),
    "it is a folder": (lambda path: (os.remove(path), os.mkdir(path)), "root", "not a regular file"),
    "it is for others": (lambda path: None, "nobody", "Permission denied"),
    "it is empty": (lambda path: open(path, "w").close(), "root", "no DNSKEY or DS record"),
    "it is no anchor": (lambda path: shutil.copy("/etc/passwd", path), "root", "no DNSKEY or DS record"),
    "it is cut short": (lambda path: os.truncate(path, 20), "root", "cut short"),
}


@pytest.mark.parametrize("case", USELESS)
@pytest.mark.parametrize("verb", ["check", "run"])
def test_one_that_cannot_be_used_is_an_error(make_gateway, safe, case, verb):
    spoil, user, words = USELESS[case]
    gateway = make_gateway(route="mx", top={"dns": dns(make_gateway(route="mx"), trust_anchor=safe)})
    spoil(safe)
    with open(gateway.configuration, encoding="utf-8") as file:
        number, line = next((at, line) for at, line in enumerate(file, 1) if safe in line)
    argv = ["setpriv", "--reuid", user, gateway.binary, verb, "--config", gateway.configuration]
    done = subprocess.run(gateway.namespace.command(*argv), capture_output=True, text=True, timeout=90, check=False)
    place = f"{gateway.configuration}:{number}:{line.index(safe)}"
    assert done.returncode == 1
    assert re.search(rf"^{re.escape(place)}: error: .*{re.escape(safe)}.*{words}", done.stderr, re.MULTILINE), done.stderr


@pytest.mark.parametrize("dane", [True, False])
def test_without_the_default_one_dane_is_said_to_be_off(make_gateway, start_gateway, host_without_default_anchor, dane):
    settings = without("trust_anchor", dns(make_gateway(route="mx")))
    gateway = start_gateway(route="mx", dane=dane, top={"dns": settings}, host=host_without_default_anchor)
    argv = [gateway.binary, "check", "--config", gateway.configuration]
    done = subprocess.run(gateway.namespace.command(*argv), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    said = [line for line in done.stderr.splitlines() if "DANE cannot be used" in line]
    assert [": warning: " in line and "/usr/share/dns/root.key" in line for line in said] == [True] * dane
    assert len(re.findall(r"^\S+ warning DANE cannot be used ", gateway.log(), re.MULTILINE)) == dane
