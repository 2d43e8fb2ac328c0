"""Keys and certificates made by the openssl command: an authority, and leaves signed by it."""

import os
import subprocess


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
        os.makedirs(self.folder, exist_ok=True)
        self.key = os.path.join(self.folder, "ca.key")
        self.certificate = os.path.join(self.folder, "ca.pem")
        _new_key(self.key, "p256")
        _openssl(
            "req", "-x509", "-new", "-key", self.key, "-out", self.certificate, "-days", "30", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def issue(self, name, key_type="p256", names=None, days=10, client=False):
        """A leaf for the host names (default: `name`); negative days: expired since yesterday."""
        base = os.path.join(self.folder, f"{name.replace('*', 'wildcard')}-{key_type}-{days}")
        key, request, leaf, chain = (base + suffix for suffix in (".key", ".csr", ".crt", ".pem"))
        _new_key(key, key_type)
        _openssl("req", "-new", "-key", key, "-out", request, "-subj", f"/CN={name}")
        extensions = base + ".ext"
        with open(extensions, "w", encoding="ascii") as file:
            file.write("basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\n")
            file.write(f"extendedKeyUsage={'clientAuth' if client else 'serverAuth'}\n")
            file.write("subjectAltName=" + ",".join(f"DNS:{san}" for san in names or [name]) + "\n")
        _openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
            "-out", leaf, "-days", str(days), "-extfile", extensions,
        )  # fmt: skip
        with open(chain, "w", encoding="ascii") as out:
            for part in (leaf, self.certificate):
                with open(part, encoding="ascii") as piece:
                    out.write(piece.read())
        return Pair(chain, key)


def fingerprint(pem_path):
    """SHA-256 of the first certificate in a file, as lower case hex."""
    shown = _openssl("x509", "-in", pem_path, "-noout", "-fingerprint", "-sha256")
    return shown.split("=", 1)[1].strip().replace(":", "").lower()


def _new_key(path, key_type):
    if key_type == "p256":
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    elif key_type == "rsa":
        _openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
    else:
        raise ValueError(key_type)


def _openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"openssl {' '.join(words)}:\n{done.stderr}")
    return done.stdout
