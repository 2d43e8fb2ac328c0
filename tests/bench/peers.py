"""The other gateways, from Debian's packages but not installed: unpacked into a folder, so that no service ever starts."""

import os
import subprocess
import sys

PACKAGES = ["stunnel4", "nginx", "libnginx-mod-mail", "libnginx-mod-stream", "haproxy", "hitch"]


class Peers:
    def __init__(self, folder):
        self.root = os.path.join(folder, "root")
        needed = [self.stunnel, self.nginx, self.nginx_mail, self.nginx_stream, self.haproxy, self.hitch]
        if not all(map(os.path.exists, needed)):
            self._unpack(os.path.join(folder, "packages"))

    stunnel = property(lambda self: os.path.join(self.root, "usr/bin/stunnel4"))
    nginx = property(lambda self: os.path.join(self.root, "usr/sbin/nginx"))
    nginx_mail = property(lambda self: os.path.join(self.root, "usr/lib/nginx/modules/ngx_mail_module.so"))
    nginx_stream = property(lambda self: os.path.join(self.root, "usr/lib/nginx/modules/ngx_stream_module.so"))
    haproxy = property(lambda self: os.path.join(self.root, "usr/sbin/haproxy"))
    hitch = property(lambda self: os.path.join(self.root, "usr/sbin/hitch"))

    def versions(self):
        asked = {
            "stunnel": [self.stunnel, "-version"],
            "nginx": [self.nginx, "-v"],
            "haproxy": [self.haproxy, "-v"],
            "hitch": [self.hitch, "--version"],
        }
        found = {}
        for name, command in asked.items():
            result = subprocess.run(command, capture_output=True, text=True)
            lines = [line for line in (result.stdout + result.stderr).splitlines() if "ersion" in line or name in line]
            found[name] = lines[0].strip() if lines else "?"
        return found

    def _unpack(self, packages):
        os.makedirs(packages, exist_ok=True)
        print("bench: fetching " + ", ".join(PACKAGES), file=sys.stderr)
        # apt drops to its own user for downloads, which cannot write here; it says so, and works all the same.
        subprocess.run(["apt-get", "download", "-q"] + PACKAGES, cwd=packages, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        for package in PACKAGES:
            archive = next(name for name in sorted(os.listdir(packages)) if name.startswith(package + "_"))
            subprocess.run(["dpkg-deb", "-x", os.path.join(packages, archive), self.root], check=True)
