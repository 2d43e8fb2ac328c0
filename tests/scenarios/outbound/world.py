"""The world of the outbound scenarios: a legacy host, its router, where Postern runs, and an internet."""

import contextlib
import ssl

import domains
from harness.certificates import Authority, self_signed, tlsa_data
from harness.name_servers import Nsd, Unbound
from harness.netns import Namespace, add_address, join
from harness.policy_host import PolicyHost
from harness.posttls_finger import PosttlsFinger
from harness.remote_postfix import RemoteHost, RemotePostfix
from harness.scripted_server import Remote, ScriptedServer
from harness.signed_zone import DnsTree, Zone

LEGACY = {"4": "198.51.100.10", "6": "2001:db8:100::10"}
ROUTER_INSIDE = {"4": "198.51.100.1", "6": "2001:db8:100::1"}
ROUTER_OUTSIDE = {"4": "203.0.113.1", "6": "2001:db8:200::1"}
EDGE = {"4": "203.0.113.254", "6": "2001:db8:200::254"}  # the first address behind the router
NSD = "192.0.2.2"
RESOLVER = "192.0.2.53"  # validates
PLAIN_RESOLVER = "192.0.2.54"  # does not: bogus names are names like any other
POLICY_HOST = {"4": "192.0.2.80", "6": "2001:db8:300::80"}
FORWARDER = "192.0.2.56"  # where a test may put one
SCRIPTED = {"4": "192.0.2.90", "6": "2001:db8:300::90"}  # where a test may put a server of its own
_FIRST_HOST = 100


class World:
    """`legacy` and `internet` are joined by `gateway`. Every domain of domains.ALL is there, served and listening.

    `addresses` maps names of domains to the addresses of their mail hosts, by family ("4", "6"), `pairs` to what those
    show.
    """

    def __init__(self, build_folder, folder):
        self.build_folder, self.folder = build_folder, str(folder)
        self._ends = contextlib.ExitStack()
        self.authority = Authority(f"{folder}/ca")
        self.strangers = Authority(f"{folder}/strangers", name="Nobody's CA")
        self.addresses = {}
        try:
            self._make_network()
            self._make_names()
            self._make_hosts()
            self._start_servers()
        except BaseException:
            self.close()
            raise

    def close(self):
        self._ends.close()

    # --- network

    def _make_network(self):
        self.legacy, self.gateway, self.internet = (self._namespace(name) for name in ("legacy", "gateway", "internet"))
        inside, outside = ("24", "64"), ("24", "64")
        join(self.legacy, "uplink", _with(inside, LEGACY), self.gateway, "inside", _with(inside, ROUTER_INSIDE))
        join(self.gateway, "outside", _with(outside, ROUTER_OUTSIDE), self.internet, "edge", _with(outside, EDGE))
        self.legacy.configure(_routes("default", ROUTER_INSIDE))
        self.gateway.configure(_routes("default", EDGE))
        # Back to the router: everything that is not the internet's own.
        self.internet.configure(_routes("default", ROUTER_OUTSIDE))
        self.gateway.forward_packets()
        own = [NSD, RESOLVER, PLAIN_RESOLVER, FORWARDER, domains.DEAD, domains.DEAD_6, *POLICY_HOST.values(), *SCRIPTED.values()]
        self.internet.configure([_own_address(address) for address in own])
        self.internet.configure([f"route add blackhole {domains.SILENT_6}"])
        self.legacy.use_resolver(PLAIN_RESOLVER)
        self.gateway.use_resolver(RESOLVER)

    def _namespace(self, name):
        namespace = Namespace(name)
        self._ends.callback(namespace.remove)
        return namespace

    # --- DNS

    def _make_names(self):
        zones = [Zone("."), Zone("example."), Zone("unsigned.example.", "no"), Zone("expired.example.", "expired")]
        self.dns = DnsTree(self.build_folder, f"{self.folder}/dns", zones, "ns.", NSD)
        for domain in domains.ALL:
            for entry in domain.mx:
                preference, name = entry.split()
                self.dns.add(f"{domain.full}.", "MX", f"{preference} {domain.absolute(name)}")
            for owner, kind, data in domain.records:
                self.dns.add(domain.absolute(owner), kind, domain.absolute(data) if kind == "CNAME" else data)
            for owner, kind in domain.spoil:
                self.dns.spoil(domain.absolute(owner), kind)
            if domain.sts:
                identifier = "2024-01-01T00:00:00" if domain.sts.startswith("void-record") else "1"
                self.dns.add(f"_mta-sts.{domain.full}.", "TXT", f'"v=STSv1; id={identifier};"')
                for family in domain.sts_families:
                    self._add_address(f"mta-sts.{domain.full}.", family, POLICY_HOST[family])

    # --- mail hosts

    def _make_hosts(self):
        self.hosts, self.pairs = [], {}
        self.scripted_pair = self.authority.issue(
            "scripted.example", names=[f"mx.{domain.full}" for domain in domains.SCRIPTED]
        )
        own = (domain for domain in domains.ALL if domain.host in ("own", "real", "mx_1", "@"))
        for number, domain in enumerate(own, _FIRST_HOST):
            name = domain.absolute("mx" if domain.host == "own" else domain.host)
            by_family = {"4": f"192.0.2.{number}", "6": f"2001:db8:300::{number}"}
            pair = self.pairs[domain.name] = self.issue(domain, name.rstrip("."))
            addresses = self._publish_host(domain, name, by_family, pair)
            options = [option for option in domain.smtpd if option != "no TLS"]
            shown = None if domain.smtpd == domains.NO_TLS else pair
            self.hosts.append(RemoteHost(name.rstrip("."), addresses, shown, options))
        self.internet.configure([_own_address(address) for host in self.hosts for address in host.addresses])
        for domain in domains.SCRIPTED:
            self._publish_host(domain, domain.absolute("mx"), SCRIPTED, self.scripted_pair)
        for domain in domains.ALL:
            if domain.name not in self.addresses:  # it has another's host, or none: then any will do
                self.addresses[domain.name] = self.addresses[domain.host or "trusted"]

    def _publish_host(self, domain, name, by_family, pair):
        addresses = {family: by_family[family] for family in domain.families}
        for family, address in addresses.items():
            self._add_address(name, family, address)
        for words in domain.tlsa:
            self.dns.add(f"_25._tcp.{domain.absolute(domain.tlsa_at)}", "TLSA", self._tlsa(words, pair))
        self.addresses[domain.name] = addresses
        return list(addresses.values())

    def _add_address(self, name, family, address):
        self.dns.add(name, {"4": "A", "6": "AAAA"}[family], address)

    def issue(self, domain, host):
        """The certificate that a domain's mail host shows."""
        special = {
            "rsa": lambda: self.authority.issue(host, "rsa"),
            "named": lambda: self.authority.issue(host, names=[host, domain.full]),
            "domain": lambda: self.authority.issue(domain.full),
            "wildcard": lambda: self.authority.issue(f"*.{domain.full}"),
            "expired": lambda: self.authority.issue(host, days=-1),
            "self-signed": lambda: self_signed(self.folder, host),
            "wrong-name": lambda: self.authority.issue(f"other.{domain.full}"),
            "untrusted-ca": lambda: self.strangers.issue(host),
        }
        return special.get(domain.certificate, lambda: self.authority.issue(host))()

    def _tlsa(self, words, pair):
        usage, selector, matching = (int(word) for word in words.split()[:3])
        if words.endswith("wrong"):
            return f"{usage} {selector} {matching} {'00' * (64 if matching == 2 else 32)}"
        path = pair.chain
        if usage in (0, 2):  # the authority's certificate, which the server sends behind its own
            path = (self.strangers if "strangers" in pair.chain else self.authority).certificate
        return tlsa_data(path, usage, selector, matching)

    def serve(self, family="4", kind=Remote, port=25, implicit=False, wants_name=False, **options):
        """A scripted mail host behind the domains of domains.SCRIPTED; `options` are those of Remote. With `wants_name`
        it has a certificate for each name, and shows it only to those who ask for that.
        """
        context = server_context(self.scripted_pair)
        if wants_name:
            names = [f"mx.{domain.full}" for domain in domains.SCRIPTED]
            options["by_name"] = {name: server_context(self.authority.issue(name)) for name in names}
            context = server_context(self.strangers.issue("nobody.example"))
        with self.internet.entered():
            return ScriptedServer(
                kind(context, **options), host=SCRIPTED[family], port=port, tls_context=context if implicit else None
            )

    # --- servers

    def _start_servers(self):
        self.dns.write()
        folder = self.folder
        self.name_servers = {}  # those that validate, or not, by address
        self.nsd = Nsd(self.build_folder, self.internet, f"{folder}/nsd", self.dns, NSD)
        self._run(self.nsd)
        for name, address, validates in (("resolver", RESOLVER, True), ("plain-resolver", PLAIN_RESOLVER, False)):
            server = Unbound(self.build_folder, self.internet, f"{folder}/{name}", self.dns, address, NSD, validates)
            self._run(server)
            self.name_servers[address] = server
        names = [domain.full for domain in domains.ALL]
        self.remote = RemotePostfix(self.build_folder, f"{folder}/remote", self.internet, self.hosts, names)
        self._ends.callback(self.remote.stop)
        self.finger = PosttlsFinger(self.remote, self.gateway, self.authority.certificate)
        with self.internet.entered():
            self.policy_host = PolicyHost(POLICY_HOST.values(), self.authority.issue("policy.example"))
        self._ends.callback(self.policy_host.close)
        for domain in domains.ALL:
            if domain.sts:
                self._publish(domain)

    def _run(self, server):
        self._ends.callback(server.stop)
        server.start()

    def _publish(self, domain):
        """`domain.sts`: mode and listed host, or what else there is to the policy of a host that enforces."""
        kind, _, listed = domain.sts.partition(" ")
        mode = kind if kind in ("enforce", "testing", "none") else "enforce"
        policy = policy_text(mode, [f"{listed or 'nobody'}.{domain.full}"])
        pair = (self.strangers if kind == "untrusted" else self.authority).issue(f"mta-sts.{domain.full}")
        if kind == "404":
            self.policy_host.publish(domain.full, "not here\n", pair, status=404)
        elif kind == "redirect":
            elsewhere = {"Location": f"https://mta-sts.{domains.named('sts-self-signed').full}/.well-known/mta-sts.txt"}
            self.policy_host.publish(domain.full, "", pair, status=302, headers=elsewhere)
        elif kind == "until-close":
            self.policy_host.publish(domain.full, policy, pair, headers={"Content-Length": None, "Connection": "close"})
        elif kind == "early-hints":
            self.policy_host.publish(domain.full, policy, pair, headers={"Early-Hints": "yes"})
        elif kind == "unusual":
            unusual = f"# our policy\n{policy.replace('max_age: 86400', 'max_age: 99999999999')}"
            self.policy_host.publish(domain.full, unusual, pair, headers={"Content-Type": "application/octet-stream"})
        else:
            self.policy_host.publish(domain.full, policy, pair)


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.chain, pair.key)
    return context


def policy_text(mode, hosts, max_age=86400):
    lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), f"max_age: {max_age}"]
    return "\r\n".join(lines) + "\r\n"


def _with(lengths, addresses):
    return [f"{addresses[family]}/{length}" for family, length in zip("46", lengths)]


def _own_address(address):
    return add_address(f"{address}/{128 if ':' in address else 32}", "lo")


def _routes(target, via):
    return [f"route add {target} via {address}" for address in via.values()]
