"""Certificates that change on disk, in all the ways that tools have of changing them, are served without a signal."""

import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl

import pytest

from harness.certificates import fingerprint
from harness.client import tls_context
from harness.gateway import Gateway
from harness.ports import PATIENCE, free_port, wait_until
from harness.prometheus import get
from harness.scripted_server import Obedient

ROUNDS = 5
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a file in a namespace of its own")


def copied(source, path):
    """Written in place, in two pieces."""
    with open(source, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        file.write(content[len(content) // 2 :])


def linked(target, path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.symlink(target, path)


class Way:
    """How the files of a certificate come into a folder of their own, and others after them."""

    chain, key = "tls.crt", "tls.key"

    def __init__(self, folder):
        self.folder = folder
        self.number = 0
        os.makedirs(folder)

    def path(self, name):
        return f"{self.folder}/{name}"

    def as_setting(self):
        return {"chain": self.path(self.chain), "key": self.path(self.key)}

    def rotate(self, pair):
        """As a whole, or what comes first of it."""
        self.number += 1
        self.put(pair)

    def complete(self, pair):
        """The rest."""


class InPlace(Way):
    def put(self, pair):
        copied(pair.chain, self.path(self.chain))
        copied(pair.key, self.path(self.key))


class RenamedOver(Way):
    def put(self, pair):
        for source, name in ((pair.chain, self.chain), (pair.key, self.key)):
            shutil.copy(source, self.path("next"))
            os.rename(self.path("next"), self.path(name))


class OneFile(Way):
    """Chain and key in one, renamed over."""

    key = Way.chain

    def put(self, pair):
        with open(self.path("next"), "wb") as out:
            for source in (pair.key, pair.chain):
                with open(source, "rb") as file:
                    out.write(file.read())
        os.rename(self.path("next"), self.path(self.chain))


class Links(Way):
    def put(self, pair):
        for source, name in ((pair.chain, self.chain), (pair.key, self.key)):
            os.symlink(source, self.path("next"))
            os.rename(self.path("next"), self.path(name))


class Kubernetes(Way):
    """A volume with a secret: the files are links into ..data, which is a link to a folder that is replaced."""

    def put(self, pair):
        data = f"..2026_{self.number}"
        os.makedirs(self.path(data))
        shutil.copy(pair.chain, self.path(f"{data}/{self.chain}"))
        shutil.copy(pair.key, self.path(f"{data}/{self.key}"))
        os.symlink(data, self.path("..data_tmp"))
        os.rename(self.path("..data_tmp"), self.path("..data"))
        if self.number == 1:
            for name in (self.chain, self.key):
                os.symlink(f"..data/{name}", self.path(name))
        else:
            shutil.rmtree(self.path(f"..2026_{self.number - 1}"))


class Certbot(Way):
    """live/NAME has links into archive/NAME, which are removed and made again one after the other."""

    chain, key = "live/mx/fullchain.pem", "live/mx/privkey.pem"

    def put(self, pair):
        for folder in ("live/mx", "archive/mx"):
            os.makedirs(self.path(folder), exist_ok=True)
        for source, name in ((pair.key, "privkey"), (pair.chain, "fullchain")):
            shutil.copy(source, self.path(f"archive/mx/{name}{self.number}.pem"))
        for name in ("privkey", "fullchain"):
            linked(f"../../archive/mx/{name}{self.number}.pem", self.path(f"live/mx/{name}.pem"))


class FolderMadeAgain(Way):
    def put(self, pair):
        shutil.rmtree(self.folder)
        os.makedirs(self.folder)
        shutil.copy(pair.chain, self.path(self.chain))
        shutil.copy(pair.key, self.path(self.key))


class KeyFirst(Way):
    """Whoever writes the chain takes his time."""

    def put(self, pair):
        copied(pair.key, self.path(self.key))
        if self.number == 1:
            self.complete(pair)

    def complete(self, pair):
        copied(pair.chain, self.path(self.chain))


class ChainFirst(Way):
    def put(self, pair):
        copied(pair.chain, self.path(self.chain))
        if self.number == 1:
            self.complete(pair)

    def complete(self, pair):
        copied(pair.key, self.path(self.key))


WAYS = [InPlace, RenamedOver, OneFile, Links, Kubernetes, Certbot, FolderMadeAgain, KeyFirst, ChainFirst]


class Mounted(InPlace):
    """A single file, mounted where the gateway reads it, as containers have it."""

    def as_setting(self):
        return {"chain": f"{self.folder}-inside/tls.crt", "key": f"{self.folder}-inside/tls.key"}

    def command(self, *argv):
        inside = f"{self.folder}-inside"
        os.makedirs(inside, exist_ok=True)
        mounts = ""
        for name in (self.chain, self.key):
            with open(f"{inside}/{name}", "wb"):
                pass
            mounts += f"mount --bind {self.path(name)} {inside}/{name} && "
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts}exec "$@"', "sh", *argv]


def name_of(way):
    return f"{type(way).__name__.lower()}.example.org"


def served(port, name):
    """The SHA-256 of the certificate that somebody is shown who asks for that name."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain:
        with tls_context().wrap_socket(plain, server_hostname=name) as secure:
            return hashlib.sha256(secure.getpeercert(binary_form=True)).hexdigest()


def metrics(gateway):
    return get(gateway.admin)[1]


def number(text, series):
    return float(re.search(rf"^{re.escape(series)} (\S+)$", text, re.M)[1])


@pytest.fixture
def serve(postern, folder, scripted_server, gateways):
    """serve(ways, namespace): a gateway with a certificate for each, all of them served by one listener."""

    def start(ways, namespace=None, **top):
        server = scripted_server(Obedient())
        admin = free_port()
        listener = {
            "mode": "implicit", "certificates": [name_of(way) for way in ways], "allow_open_relay_risk": True,
            "backend": {"address": server.address}, "limits": {"sessions_per_client": 0},
        }  # fmt: skip
        gateway = Gateway(
            postern, f"{folder}/gateway", {"mx": listener}, namespace=namespace,
            certificates={name_of(way): [way.as_setting()] for way in ways},
            admin={"listen": f"127.0.0.1:{admin}"}, **top,
        )  # fmt: skip
        gateway.admin = admin
        gateway.start()
        gateways.append(gateway)
        return gateway

    return start


def await_served(gateway, way, pair):
    wait_until(
        lambda: served(gateway.port(), name_of(way)) == fingerprint(pair.chain), f"{type(way).__name__} is served", PATIENCE, 0.1
    )


def await_agreement(gateway, ways):
    def agree():
        text = metrics(gateway)
        return all(
            number(text, f'postern_certificate_differs_from_disk{{certificate="{name_of(way)}"}}') == 0 for way in ways
        )

    wait_until(agree, "what is served is what is on disk", PATIENCE, 0.1)


def test_every_way_of_changing_a_certificate_is_noticed_five_times_in_a_row(serve, folder, authority):
    """Those that come one half first too: what was there before is served until the other half is there."""
    ways = [way(f"{folder}/{way.__name__}") for way in WAYS]
    pairs = {way: authority.issue(name_of(way)) for way in ways}
    for way in ways:
        way.rotate(pairs[way])
    gateway = serve(ways)
    for way in ways:
        assert served(gateway.port(), name_of(way)) == fingerprint(pairs[way].chain)
    halves = [way for way in ways if isinstance(way, (KeyFirst, ChainFirst))]

    def mismatches(way):
        labels = f'certificate="{name_of(way)}",reason="mismatch"'
        return number(metrics(gateway), f"postern_certificate_reload_failures_total{{{labels}}}")

    for _ in range(ROUNDS):
        counted = {way: mismatches(way) for way in halves}
        before, pairs = pairs, {way: authority.issue(name_of(way)) for way in ways}
        for way in ways:
            way.rotate(pairs[way])
        for way in ways:
            if way not in halves:
                await_served(gateway, way, pairs[way])
        for way in halves:
            wait_until(lambda w=way: mismatches(w) > counted[w], f"{name_of(way)} does not match", PATIENCE, 0.1)
            assert served(gateway.port(), name_of(way)) == fingerprint(before[way].chain)
            assert number(metrics(gateway), f'postern_certificate_differs_from_disk{{certificate="{name_of(way)}"}}') == 1
            way.complete(pairs[way])
        for way in halves:
            await_served(gateway, way, pairs[way])
    await_agreement(gateway, ways)
    assert number(metrics(gateway), "postern_config_last_reload_successful") == 1


@ROOT
def test_a_file_that_is_mounted_by_itself_is_noticed_when_it_is_written(serve, folder, authority):
    way = Mounted(f"{folder}/mounted")
    pair = authority.issue(name_of(way))
    way.rotate(pair)
    gateway = serve([way], namespace=way)
    for _ in range(ROUNDS):
        assert served(gateway.port(), name_of(way)) == fingerprint(pair.chain)
        pair = authority.issue(name_of(way))
        way.rotate(pair)
        await_served(gateway, way, pair)


def test_what_cannot_be_used_is_told_once_and_served_when_it_is_put_right(serve, folder, authority):
    """Also by a gateway that begins meanwhile; and it keeps no other certificate from being renewed."""
    bad, good = InPlace(f"{folder}/bad"), RenamedOver(f"{folder}/good")
    pairs = {way: authority.issue(name_of(way)) for way in (bad, good)}
    for way in (bad, good):
        way.rotate(pairs[way])
    gateway = serve([bad, good])
    with open(bad.path(bad.key), "w", encoding="ascii") as file:
        file.write("this is no key\n")
    gateway.wait_for_log(r"a certificate is not taken over .*certificate=inplace\.example\.org .*failure=malformed")
    pairs[good] = authority.issue(name_of(good))
    good.rotate(pairs[good])
    await_served(gateway, good, pairs[good])
    os.kill(gateway.serving, signal.SIGKILL)
    gateway.wait_for_log("there is a gateway again")
    for way in (bad, good):
        assert served(gateway.port(), name_of(way)) == fingerprint(pairs[way].chain)
    series = f'postern_certificate_reload_failures_total{{certificate="{name_of(bad)}",reason="malformed"}}'
    wait_until(lambda: number(metrics(gateway), series) >= 2, "it is tried again", PATIENCE, 0.1)
    assert len(re.findall("a certificate is not taken over", gateway.log())) == 1
    assert number(metrics(gateway), f'postern_certificate_differs_from_disk{{certificate="{name_of(bad)}"}}') == 1
    assert number(metrics(gateway), "postern_config_last_reload_successful") == 0
    pairs[bad] = authority.issue(name_of(bad))
    bad.rotate(pairs[bad])
    await_served(gateway, bad, pairs[bad])
    await_agreement(gateway, [bad, good])


@pytest.mark.parametrize("private_keys", ["separate", "inside"])
def test_a_session_goes_on_while_its_certificate_is_replaced(serve, folder, authority, private_keys):
    way = RenamedOver(f"{folder}/way")
    pair = authority.issue(name_of(way))
    way.rotate(pair)
    gateway = serve([way], private_keys=private_keys)
    context = tls_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", gateway.port()), timeout=PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname=name_of(way)) as secure:
            stream = secure.makefile("rwb")
            assert stream.readline().startswith(b"220 ")
            pair = authority.issue(name_of(way), "rsa")
            way.rotate(pair)
            await_served(gateway, way, pair)
            stream.write(b"NOOP\r\n")
            stream.flush()
            assert stream.readline().startswith(b"250 ")
