"""Courier from its Debian packages: queue and SMTP server. What it takes goes on to a server that stores it."""

from harness.real_server import RealServer

_SMTPD = """
PATH=/usr/bin:/bin
SHELL=/bin/sh
BOFHCHECKDNS=0
BOFHBADMIME=accept
NOADDMSGID=1
NOADDDATE=1
NOADDRREWRITE=2
TARPIT=0
COURIERTLS=/usr/bin/couriertls
TLS_CERTFILE={certificate}
TLS_VERIFYPEER=NONE
{relay_client}
export PATH SHELL BOFHCHECKDNS BOFHBADMIME NOADDMSGID NOADDDATE NOADDRREWRITE TARPIT
export COURIERTLS TLS_CERTFILE TLS_VERIFYPEER RELAYCLIENT
cd /usr/lib/courier
# That of Debian 13 asks nobody for the client's name, and cannot be told not to.
grep -q noidentlookup /usr/sbin/couriertcpd && set -- -noidentlookup
exec /usr/sbin/couriertcpd -address={address} "$@" -nodnslookup -user=courier -group=courier \
  -maxprocs=40 -maxperc=40 -maxperip=40 {port} \
  /usr/lib/courier/courier/modules/esmtp/courieresmtpd
"""


class Courier(RealServer):
    NAME = "courier"
    PACKAGES = ("courier-mta", "courier-base", "courier-authlib", "courier-authlib-userdb")

    def __init__(self, build_folder, folder, store=None, **options):
        """store: the port of the server, on the same host, that stores the mail; without one it is there to send."""
        self.store = store
        super().__init__(build_folder, folder, **options)

    def configure(self):
        installed = self.installed
        installed.add_users("courier")
        installed.write("etc/courier/me", "courier.example.org\n")
        installed.write("etc/courier/locals", "localhost\n")
        installed.write("etc/courier/esmtpacceptmailfor", "".join(f"{domain}\n" for domain in self.domains))
        routes = "".join(f"{domain}: [127.0.0.1],{self.store}\n" for domain in self.domains if self.store)
        if self.relay:
            address, port, how = self.relay
            routes += f": [{address}],{port}" + (" /SECURITY=NONE" if how == "plain" else "") + "\n"
        installed.write("etc/courier/esmtproutes", routes)
        installed.write("etc/courier/aliases/system", "postmaster: nobody\n")
        installed.write("etc/courier/sizelimit", "200000000\n")
        certificate = ""
        if self.pair:
            with open(self.pair.key, encoding="ascii") as key, open(self.pair.chain, encoding="ascii") as chain:
                installed.write("etc/courier/esmtpd.pem", key.read() + chain.read(), 0o600)
            certificate = "/etc/courier/esmtpd.pem"
            uid, gid = installed.ids("courier")
            installed.run("chown", f"{uid}:{gid}", "/etc/courier/esmtpd.pem")
        installed.write(
            "usr/local/sbin/run-esmtpd",
            _SMTPD.format(
                address=self.address, port=self.port, certificate=certificate,
                relay_client="" if self.store else "RELAYCLIENT=",
            ),  # fmt: skip
            0o755,
        )
        for folder in ("var/lib/courier", "var/lib/courier/sts", "run/courier"):
            installed.make_folder(folder, "courier")
        installed.run("chown", "-R", "courier:courier", "/var/lib/courier", "/etc/courier")
        installed.run("/usr/sbin/makealiases")

    def start(self):
        self.daemon("/bin/sh", "-c", "set -a; . /etc/courier/courierd; cd /usr; exec /usr/lib/courier/courier/courierd")
        self.wait_until_listening(self.daemon("/bin/sh", "/usr/local/sbin/run-esmtpd"))
