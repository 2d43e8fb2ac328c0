"""Keys and certificates made by the openssl command: an authority, and leaves signed by it."""

import base64
import datetime
import hashlib
import os
import ssl
import subprocess

# For `openssl ca`, the one subcommand that takes dates in every version of OpenSSL.
_CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = {folder}/index
rand_serial = yes
unique_subject = no
new_certs_dir = {folder}
default_md = sha256
policy = policy
[policy]
commonName = supplied
"""


_CURVES = {"p256": "P-256", "p384": "P-384", "p521": "P-521"}


class Pair:
    """A certificate chain and its key, both PEM files."""

    def __init__(self, chain, key):
        self.chain = str(chain)
        self.key = str(key)

    def as_setting(self):
        return {"chain": self.chain, "key": self.key}


class Authority:
    """A certificate authority in a folder; every issue() makes one more leaf."""

    def __init__(self, folder, name="Scenario CA"):
        self.folder = str(folder)
        self.name = name
        self._issued = 0
        os.makedirs(self.folder, exist_ok=True)
        self.key = os.path.join(self.folder, "ca.key")
        self.certificate = os.path.join(self.folder, "ca.pem")
        _new_key(self.key, "p256")
        _openssl(
            "req", "-x509", "-new", "-key", self.key, "-out", self.certificate, "-days", "30", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
        self._configuration = os.path.join(self.folder, "ca.conf")
        with open(self._configuration, "w", encoding="ascii") as file:
            file.write(_CONFIGURATION.format(folder=self.folder))
        with open(os.path.join(self.folder, "index"), "w", encoding="ascii"):
            pass

    def issue(
        self, name, key_type="p256", names=None, days=60, client=False, usage="digitalSignature,keyEncipherment"
    ):
        """A leaf for the host names (default: `name`; empty: none); negative days: expired since yesterday."""
        self._issued += 1
        base = os.path.join(self.folder, f"{name.replace('*', 'wildcard')}-{key_type}-{days}-{self._issued}")
        key, request, leaf, chain = (base + suffix for suffix in (".key", ".csr", ".crt", ".pem"))
        _new_key(key, key_type)
        _openssl("req", "-new", "-key", key, "-out", request, "-subj", f"/CN={name}")
        extensions = base + ".ext"
        with open(extensions, "w", encoding="ascii") as file:
            file.write(f"basicConstraints=CA:FALSE\nkeyUsage=critical,{usage}\n")
            file.write(f"extendedKeyUsage={'clientAuth' if client else 'serverAuth'}\n")
            if names is None or names:
                file.write("subjectAltName=" + ",".join(f"DNS:{san}" for san in names or [name]) + "\n")
        self._sign(request, leaf, extensions, days)
        with open(chain, "w", encoding="ascii") as out:
            for part in (leaf, self.certificate):
                with open(part, encoding="ascii") as piece:
                    out.write(piece.read())
        return Pair(chain, key)


    def intermediate(self, name):
        """An authority below this one."""
        made = Authority(os.path.join(self.folder, name.replace(" ", "-")), name)
        made.certificate = self.certify(made)
        return made

    def certify(self, other, days=30):
        """The path of one more certificate for the authority's name and key, by this one; negative days: expired."""
        self._issued += 1
        base = os.path.join(other.folder, f"ca-{self._issued}")
        _openssl("req", "-new", "-key", other.key, "-out", f"{base}.csr", "-subj", f"/CN={other.name}")
        with open(f"{base}.ext", "w", encoding="ascii") as file:
            file.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
        self._sign(f"{base}.csr", f"{base}.pem", f"{base}.ext", days)
        return f"{base}.pem"

    def _sign(self, request, out, extensions, days):
        now = datetime.datetime.now(datetime.timezone.utc)
        _openssl(
            "ca", "-batch", "-notext", "-config", self._configuration, "-in", request, "-out", out,
            "-cert", self.certificate, "-keyfile", self.key, "-extfile", extensions,
            "-startdate", _date(now - datetime.timedelta(days=2)),
            "-enddate", _date(now + datetime.timedelta(days=days)),
        )  # fmt: skip


def self_signed(folder, name):
    """A pair that nobody vouches for."""
    pair = Pair(os.path.join(folder, f"{name}-self.pem"), os.path.join(folder, f"{name}-self.key"))
    _new_key(pair.key, "p256")
    _openssl(
        "req", "-x509", "-new", "-key", pair.key, "-out", pair.chain, "-days", "30", "-subj", f"/CN={name}",
        "-addext", f"subjectAltName=DNS:{name}",
    )  # fmt: skip
    return pair


def tlsa_data(pem_path, usage, selector, matching):
    """The data of the TLSA record (RFC 6698) that the first certificate of a file matches."""
    if selector == 0:
        with open(pem_path, encoding="ascii") as file:
            first = file.read().partition("-----END CERTIFICATE-----")
        octets = ssl.PEM_cert_to_DER_cert(first[0] + first[1])
    else:
        key = _openssl("x509", "-in", pem_path, "-noout", "-pubkey")
        octets = base64.b64decode("".join(key.split("-----")[2].split()))
    if matching:
        octets = hashlib.new({1: "sha256", 2: "sha512"}[matching], octets).digest()
    return f"{usage} {selector} {matching} {octets.hex()}"


def fingerprint(pem_path):
    """SHA-256 of the first certificate in a file, as lower case hex."""
    shown = _openssl("x509", "-in", pem_path, "-noout", "-fingerprint", "-sha256")
    return shown.split("=", 1)[1].strip().replace(":", "").lower()


def _date(moment):
    return moment.strftime("%Y%m%d%H%M%SZ")


def _new_key(path, key_type):
    if key_type in _CURVES:
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{_CURVES[key_type]}", "-out", path)
    elif key_type == "rsa":
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
    else:
        raise ValueError(key_type)


def _openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(words)}:\n{done.stderr}")
    return done.stdout
