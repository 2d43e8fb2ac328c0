"""A DNS tree made from Python data, signed by ldns: its root, zones below it, signed or not, and broken ones."""

import dataclasses
import datetime
import os
import re
import subprocess

from harness.debian import unpack

_HEAD = "$TTL 60\n{origin} SOA {server} postmaster.example. {serial} 3600 600 86400 1\n{origin} NS {server}\n"


@dataclasses.dataclass
class Zone:
    """`signed`: yes, no (delegated without DS), or expired (its signatures ended yesterday)."""

    origin: str
    signed: str = "yes"


class DnsTree:
    """zones, the root among them, and records (owner, type, data): each lands in the deepest zone that holds it.

    spoil(owner, type) before write() breaks the signature over one record set. write() may be called again after a
    change; `files` maps each origin to its zone file, `trust_anchor` is the file for resolvers.
    """

    def __init__(self, build_folder, folder, zones, server, address):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self._ldns = unpack(build_folder, "ldns", ["ldnsutils"])
        self.zones = {zone.origin: zone for zone in zones}
        self.server = server
        self.records = []
        self._spoiled = set()
        self._serial = 0
        self._keys = {zone.origin: self._new_key(zone) for zone in zones if zone.signed != "no"}
        self.files = {}
        self.trust_anchor = f"{self.folder}/trust-anchor"
        with open(self.trust_anchor, "w", encoding="ascii") as file:
            file.write(_read(self._keys["."] + ".key"))
        self.add(server, "A", address)
        for zone in zones:
            if zone.origin != ".":
                self._delegate(zone)

    def add(self, owner, kind, data):
        self.records.append((owner, kind, data))

    def remove(self, owner, kind):
        self.records = [record for record in self.records if record[:2] != (owner, kind)]

    def spoil(self, owner, kind):
        self._spoiled.add((owner, kind))

    def write(self):
        self._serial += 1
        for origin in self.zones:
            self.files[origin] = self._write_zone(origin)

    def _delegate(self, zone):
        self.add(zone.origin, "NS", self.server)
        if zone.signed != "no":
            # The file that ldns-keygen wrote beside the key: owner, class, DS, data.
            self.add(zone.origin, "DS", _read(self._keys[zone.origin] + ".ds").split("DS", 1)[1].strip())

    def _zone_of(self, owner, kind):
        """The deepest zone that holds the name; a delegation belongs to the zone above."""
        above = kind in ("NS", "DS")
        holders = [
            origin for origin in self.zones
            if (owner == origin and not above) or (owner != origin and _is_below(owner, origin))
        ]  # fmt: skip
        return max(holders, key=len)

    def _write_zone(self, origin):
        path = f"{self.folder}/{origin.strip('.') or 'root'}.zone"
        with open(path, "w", encoding="ascii") as file:
            file.write(_HEAD.format(origin=origin, server=self.server, serial=self._serial))
            for owner, kind, data in self.records:
                if self._zone_of(owner, kind) == origin:
                    file.write(f"{owner} {kind} {data}\n")
        if self.zones[origin].signed == "no":
            return path
        today = datetime.date.today()
        expired = self.zones[origin].signed == "expired"
        signed = f"{path}.signed"
        # One key for all; -i, -e: beginning and end of the signatures.
        self._run(
            "ldns-signzone", "-o", origin, "-f", signed,
            "-i", _date(today - datetime.timedelta(days=30)),
            "-e", _date(today + datetime.timedelta(days=-1 if expired else 30)),
            path, self._keys[origin],
        )  # fmt: skip
        self._spoil_signatures(signed)
        return signed

    def _spoil_signatures(self, path):
        lines = _read(path).splitlines(keepends=True)
        for number, line in enumerate(lines):
            fields = line.split()
            if len(fields) > 4 and fields[3] == "RRSIG" and (fields[0], fields[4]) in self._spoiled:
                lines[number] = re.sub(r"(\S)(\S{3})$", _another_letter, line.rstrip()) + "\n"
        with open(path, "w", encoding="ascii") as file:
            file.writelines(lines)

    def _new_key(self, zone):
        # -k: the flag of a key-signing key, which an anchor or a DS needs.
        made = self._run("ldns-keygen", "-r", "/dev/urandom", "-k", "-a", "ECDSAP256SHA256", zone.origin)
        return os.path.join(self.folder, made.strip())

    def _run(self, program, *words):
        done = subprocess.run(
            [self._ldns.path("usr/bin", program), *words],
            cwd=self.folder, env=self._ldns.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{program} {' '.join(words)}:\n{done.stdout}{done.stderr}"
        return done.stdout


def _is_below(name, origin):
    return origin == "." or name.endswith("." + origin)


def _another_letter(match):
    return ("A" if match[1] != "A" else "B") + match[2]


def _date(day):
    return day.strftime("%Y%m%d")


def _read(path):
    with open(path, encoding="ascii") as file:
        return file.read()
