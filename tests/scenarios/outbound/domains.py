"""The recipient domains of the internet that the scenarios make, and what becomes of mail to each."""

import dataclasses

# The columns of Domain.outcome: levels that an operator sets, with dane and mta_sts on.
LEVELS = ["may", "encrypt", "verify", "secure", "dane-only"]


@dataclasses.dataclass
class Domain:
    """A domain NAME.ZONE with one mail host, mx.NAME.ZONE; what differs from that is said.

    `outcome` tells, level by level, how its mail host is reached: "tls", "plain", or not: the enhanced status code.
    """

    name: str
    outcome: str
    zone: str = "example"
    certificate: str = "trusted"  # see World.issue
    smtpd: tuple = ()  # options of its server; "no TLS" is one, too
    families: str = "4"
    mx: tuple = ("10 mx",)  # names without a dot at the end are below the domain
    tlsa: tuple = ()  # "USAGE SELECTOR MATCHING", with " wrong" if it does not match the certificate
    tlsa_at: str = "mx"
    records: tuple = ()  # (owner, type, data) besides
    spoil: tuple = ()  # (owner, type): the signature is broken
    sts: str = ""  # what the MTA-STS policy says, in short: see World.policy
    sts_families: str = "4"  # of the host that says it; other addresses of it are in `records`
    intercepted: str = ""  # `outcome` of a session that was on its way to some address
    host: str = "own"  # another domain's name: that one's host; "scripted": see World.serve; "" for none

    @property
    def full(self):
        return f"{self.name}.{self.zone}"

    def expected(self, level, intercepted=False):
        words = (intercepted and self.intercepted or self.outcome).split()
        return words[LEVELS.index(level)] if len(words) > 1 else words[0]

    def absolute(self, name):
        """A name in `mx`, `tlsa_at`, `records` or `spoil`, as it stands in the zone. "@" is the domain itself."""
        if name.endswith("."):
            return name
        return f"{self.full}." if name == "@" else f"{name}.{self.full}."


NO_TLS = ("no TLS",)
STRIPPED = ("smtpd_discard_ehlo_keywords=starttls",)
DEAD, DEAD_6 = "192.0.2.250", "2001:db8:300::250"  # addresses where nobody listens
SILENT_6 = "2001:db8:300::251"  # and one that does not even refuse


def _only(version):
    # Security level 0: OpenSSL signs with nothing that these versions know.
    return (f"smtpd_tls_protocols={version}", "tls_medium_cipherlist=DEFAULT:@SECLEVEL=0")


NAMED, UNNAMED, NO_TRUST = "tls tls tls tls 4.7.5", "tls tls tls 4.7.5 4.7.5", "tls tls 4.7.5 4.7.5 4.7.5"
BY_DANE, BARE = "tls tls 4.7.5 4.7.5 tls", "plain 4.7.4 4.7.4 4.7.4 4.7.5"
OLD_TLS = "plain 4.7.5 4.7.5 4.7.5 4.7.5"

WITHOUT_POLICY = [
    Domain("trusted", UNNAMED),
    Domain("rsa", UNNAMED, certificate="rsa"),
    Domain("named", NAMED, certificate="named"),
    Domain("wildcard", UNNAMED, certificate="wildcard"),
    Domain("dual", UNNAMED, families="46"),
    Domain("six", UNNAMED, families="6"),
    Domain("expired-certificate", NO_TRUST, certificate="expired"),
    Domain("self-signed", NO_TRUST, certificate="self-signed"),
    Domain("wrong-name", NO_TRUST, certificate="wrong-name"),
    Domain("untrusted-ca", NO_TRUST, certificate="untrusted-ca"),
    Domain("no-starttls", BARE, smtpd=NO_TLS),
    Domain("stripped", BARE, smtpd=STRIPPED),
    Domain("tls10", OLD_TLS, certificate="rsa", smtpd=_only("TLSv1")),
    Domain("tls11", OLD_TLS, certificate="rsa", smtpd=_only("TLSv1.1")),
    Domain("tls12", UNNAMED, smtpd=("smtpd_tls_protocols=TLSv1.2",)),
    Domain("tls13", UNNAMED, smtpd=("smtpd_tls_protocols=TLSv1.3",)),
    Domain("implicit-mx", NAMED, certificate="domain", mx=(), host="@"),
]

WITH_DANE = [
    Domain("ee-spki-256", BY_DANE, certificate="self-signed", tlsa=("3 1 1",)),
    Domain("ee-cert-256", BY_DANE, certificate="expired", tlsa=("3 0 1",)),
    Domain("ee-spki-512", BY_DANE, certificate="wrong-name", tlsa=("3 1 2",)),
    Domain("ee-spki-full", BY_DANE, certificate="untrusted-ca", tlsa=("3 1 0",)),
    Domain("ee-six", BY_DANE, certificate="self-signed", tlsa=("3 1 1",), families="6"),
    Domain("ee-trusted", "tls tls tls 4.7.5 tls", tlsa=("3 1 1",)),
    Domain("ee-rollover", BY_DANE, certificate="self-signed", tlsa=("3 1 1 wrong", "3 1 1")),
    Domain("ta-spki-256", BY_DANE, certificate="untrusted-ca", tlsa=("2 1 1",)),
    Domain("ta-cert-256", BY_DANE, certificate="untrusted-ca", tlsa=("2 0 1",)),
    Domain("ta-wrong-name", "4.7.5", certificate="wrong-name", tlsa=("2 1 1",)),
    Domain("ta-expired", "4.7.5", certificate="expired", tlsa=("2 1 1",)),
    Domain("dane-mismatch", "4.7.5", tlsa=("3 1 1 wrong",)),
    # Of 3 1 x the stronger one counts alone. Postfix 3.9 looks at the other, too, where it may ask for a bare key: beside 3 0 x not.
    Domain("dane-stale", "4.7.5", certificate="self-signed", tlsa=("3 1 1", "3 1 2 wrong", "3 0 1 wrong")),
    Domain("xn--bcher-kva", "4.7.5", tlsa=("3 1 1 wrong",)),  # bücher.example
    Domain("dane-no-starttls", "4.7.4", smtpd=NO_TLS, tlsa=("3 1 1 wrong",)),
    Domain("unusable", NO_TRUST, certificate="self-signed", tlsa=("0 0 1", "1 1 1")),
    Domain("unusable-no-starttls", "4.7.4 4.7.4 4.7.4 4.7.4 4.7.5", smtpd=NO_TLS, tlsa=("1 1 1 wrong",)),
    Domain("cname", BY_DANE, certificate="self-signed", tlsa=("3 1 1",), tlsa_at="real", host="real",
           records=(("mx", "CNAME", "real"),)),
    Domain("cname-alias", BY_DANE, certificate="self-signed", tlsa=("3 1 1",), host="real",
           records=(("mx", "CNAME", "real"),)),
    Domain("unsigned-mx", NO_TRUST, zone="unsigned.example", mx=("10 mx.ee-spki-256.example.",), host="ee-spki-256"),
    Domain("unsigned-mx-mismatch", "4.7.5", zone="unsigned.example", mx=("10 mx.dane-mismatch.example.",),
           host="dane-mismatch"),
    Domain("unsigned", UNNAMED, zone="unsigned.example", tlsa=("3 1 1 wrong",)),
    Domain("tlsa-bogus", "4.4.3", tlsa=("3 1 1",), spoil=(("_25._tcp.mx", "TLSA"),)),
    Domain("mx-bogus", "4.4.3", tlsa=("3 1 1",), spoil=(("@", "MX"),)),
    Domain("address-bogus", "4.4.3", tlsa=("3 1 1",), spoil=(("mx", "A"),)),
    Domain("signature-expired", "4.4.3", zone="expired.example", tlsa=("3 1 1",)),
]  # fmt: skip

WITH_MTA_STS = [
    Domain("sts", UNNAMED, sts="enforce mx"),
    Domain("sts-wildcard", UNNAMED, sts="enforce *"),
    Domain("sts-self-signed", "4.7.5", certificate="self-signed", sts="enforce mx"),
    Domain("sts-wrong-name", "4.7.5", certificate="wrong-name", sts="enforce mx"),
    Domain("sts-expired", "4.7.5", certificate="expired", sts="enforce mx"),
    Domain("sts-not-listed", "4.7.5", sts="enforce other"),
    Domain("sts-no-starttls", "4.7.4 4.7.4 4.7.4 4.7.4 4.7.5", smtpd=NO_TLS, sts="enforce mx"),
    Domain("sts-testing", NO_TRUST, certificate="self-signed", sts="testing other"),
    Domain("sts-none", NO_TRUST, certificate="self-signed", sts="none"),
    Domain("sts-missing", NO_TRUST, certificate="self-signed", sts="404"),
    Domain("sts-redirect", NO_TRUST, certificate="self-signed", sts="redirect"),
    Domain("sts-untrusted-policy-host", NO_TRUST, certificate="self-signed", sts="untrusted"),
    Domain("sts-unsigned", "4.7.5", zone="unsigned.example", certificate="self-signed", sts="enforce mx"),
    # The policy counts however its host is reached.
    Domain("sts-by-six", "4.7.5", certificate="self-signed", sts="enforce mx", sts_families="6"),
    Domain("sts-by-both", "4.7.5", certificate="self-signed", sts="enforce mx", sts_families="46"),
    Domain("sts-six-dead", "4.7.5", certificate="self-signed", sts="enforce mx", sts_families="4",
           records=(("mta-sts", "AAAA", DEAD_6),)),
    # The policy counts however its end is told, and a record that is void brings none.
    Domain("sts-until-close", "4.7.5", certificate="self-signed", sts="until-close mx"),
    Domain("sts-early-hints", "4.7.5", certificate="self-signed", sts="early-hints mx"),
    Domain("sts-unusual", "4.7.5", certificate="self-signed", sts="unusual mx"),
    Domain("sts-void-record", NO_TRUST, certificate="self-signed", sts="void-record mx"),
    # Names with underscores are names: in SNI, certificates and patterns too.
    Domain("sts_underscore", UNNAMED, sts="enforce mx_1", certificate="wildcard", mx=("10 mx_1",), host="mx_1"),
    Domain("sts_underscore_wrong", "4.7.5", certificate="wrong-name", sts="enforce mx"),
    # DANE says more than MTA-STS and wins, for better and for worse.
    Domain("sts-and-dane", BY_DANE, certificate="self-signed", sts="enforce mx", tlsa=("3 1 1",)),
    Domain("sts-and-dane-mismatch", "4.7.5", sts="enforce mx", tlsa=("3 1 1 wrong",)),
]

WITHOUT_HOST = [
    Domain("null-mx", "5.1.10", mx=("0 .",), host=""),
    # The legacy host may know of domains that DNS does not.
    Domain("no-such-domain", "5.1.2", mx=(), host="", intercepted=NO_TRUST),
]

SEVERAL_HOSTS = [
    Domain("first-dead", UNNAMED, mx=("10 dead", "20 mx"), records=(("dead", "A", DEAD),)),
    Domain("first-mismatch", "tls tls tls 4.7.5 4.7.5", mx=("10 mx.dane-mismatch.example.", "20 mx")),
    Domain("all-dead", "4.4.1 4.4.1 4.4.1 4.4.1 4.7.5", mx=("10 dead",), records=(("dead", "A", DEAD),), host=""),
]

# Hosts that serve more than one domain.
SHARED_HOSTS = [
    Domain("no-starttls-too", BARE, mx=("10 mx.no-starttls.example.",), host="no-starttls"),
    Domain("self-signed-too", NO_TRUST, mx=("10 mx.self-signed.example.",), host="self-signed"),
]

# Nobody asks for this one but the scenario in which DNS is lost.
ASKED_LATE = [Domain("asked-late", BY_DANE, certificate="self-signed", tlsa=("3 1 1",))]

# Its mail host is the gateway.
LOOPING = [
    Domain("loops", "4.4.6", zone="unsigned.example", mx=("10 gateway", "20 mx.trusted.example."),
           records=(("gateway", "A", "203.0.113.1"),), host="trusted"),
]  # fmt: skip

# It takes a while until the other address of its policy host is tried.
LEISURELY = [
    Domain("sts-six-silent", "4.7.5", certificate="self-signed", sts="enforce mx",
           records=(("mta-sts", "AAAA", SILENT_6),)),
]  # fmt: skip

# Names that libraries for DNS answer by themselves, unless they are told that somebody knows them.
PRIVATE = [
    Domain("nas", UNNAMED, zone="home.arpa"),
    Domain("office", UNNAMED, zone="test"),
]

# One address, where a test runs a server of its own.
SCRIPTED = [
    Domain("scripted", UNNAMED, host="scripted", families="46"),
    Domain("scripted-dane", "tls tls tls 4.7.5 tls", host="scripted", families="46", tlsa=("3 1 1",)),
    Domain("scripted-sts", UNNAMED, host="scripted", families="46", sts="enforce mx"),
    Domain("scripted-late", UNNAMED, host="scripted"),  # asked for by one scenario alone
]

# Those that are as the table says at any time.
TABLE = WITHOUT_POLICY + WITH_DANE + WITH_MTA_STS + WITHOUT_HOST + SEVERAL_HOSTS + SHARED_HOSTS
ALL = TABLE + ASKED_LATE + LOOPING + LEISURELY + PRIVATE + SCRIPTED


def named(name):
    return next(domain for domain in ALL if domain.name == name)
