"""Sendmail from its Debian packages. It offers VERB, ETRN, DELIVERBY and other things that few others do."""

from harness.real_server import RealServer

_MAIN = """
divert(0)dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
define(`confDOMAIN_NAME', `sendmail.example.org')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
define(`confPID_FILE', `/run/sendmail.pid')dnl
define(`STATUS_FILE', `/var/lib/sendmail.st')dnl
define(`confTO_IDENT', `0')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confREFUSE_LA', `999')dnl
define(`confQUEUE_LA', `999')dnl
define(`confDELAY_LA', `0')dnl
{options}
FEATURE(`nocanonify')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Addr={address}, Port={port}, M={modifiers}')dnl
MAILER_DEFINITIONS
Mstore, P=/etc/mail/store, F=lsnDFMu, S=EnvFromL, R=EnvToL, A=store $u
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_RULE_0
{rules}
LOCAL_RULESETS
SLocal_check_rcpt
R$* @ refused.example.org $*	$#error $@ 5.7.1 $: "550 we do not relay"
"""

_RULE = "R$* <@ {domain} $* > $*\t$#store $@ here $: $1@{domain}"

_STORE = """
#!/bin/sh
cat >{maildir}/tmp/$$ && mv {maildir}/tmp/$$ {maildir}/new/$$
"""


class Sendmail(RealServer):
    NAME = "sendmail"
    # Without mechanisms it offers no AUTH.
    PACKAGES = ("sendmail-bin", "sendmail-base", "sendmail-cf", "m4", "libsasl2-modules")

    def configure(self):
        installed = self.installed
        installed.add_users("smmta", "smmsp")
        installed.make_folder("var/spool/mqueue", mode=0o700)
        installed.make_folder("var/spool/mqueue-client", "smmsp", 0o770)
        dns = "hosts files\n" if self.relay or not self.namespace else "hosts files dns\n"
        installed.write("etc/mail/service.switch", dns + "aliases files\n")
        installed.write("etc/mail/store", _STORE.format(maildir=self.maildir.path), 0o755)
        options = ["define(`confSERVICE_SWITCH_FILE', `/etc/mail/service.switch')dnl"]
        if self.pair:
            chain = self.own_copy(self.pair.chain, "etc/mail/tls/chain.pem")
            key = self.own_copy(self.pair.key, "etc/mail/tls/key.pem")
            options += [f"define(`confSERVER_CERT', `{chain}')dnl", f"define(`confSERVER_KEY', `{key}')dnl"]
            options += [f"define(`confCACERT', `{chain}')dnl", "define(`confCACERT_PATH', `/etc/mail/tls')dnl"]
        options += [f"RELAY_DOMAIN(`{domain}')dnl" for domain in self.domains]
        if self.relay:
            options.append(f"define(`SMTP_MAILER_ARGS', `TCP $h {self.relay[1]}')dnl")
            options.append(f"define(`SMART_HOST', `smtp:[{self.relay[0]}]')dnl")
        main = _MAIN.format(
            address=self.address, port=self.port, modifiers="" if self.pair else "S", options="\n".join(options),
            rules="\n".join(_RULE.format(domain=domain) for domain in self.domains),
        )  # fmt: skip
        installed.write("etc/mail/sendmail.mc", main)
        installed.write("etc/mail/sendmail.cf", installed.run("m4", "/etc/mail/sendmail.mc"))

    def start(self):
        daemon = self.daemon(
            "/usr/libexec/sendmail/sendmail", "-bD", "-q1s", "-O", "LogLevel=15", "-X", f"{self.folder}/traffic"
        )
        self.wait_until_listening(daemon)
