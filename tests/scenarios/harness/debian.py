"""Debian packages that must not be installed (two mail servers cannot be): fetched, unpacked into a folder, run there.

The folder is kept across runs. Libraries that the machine lacks are unpacked beside them.
"""

import contextlib
import fcntl
import functools
import glob
import itertools
import os
import re
import shutil
import subprocess
import tempfile

import pytest


class Unpacked:
    """Packages unpacked under one root folder."""

    def __init__(self, root):
        self.root = root

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def library_path(self):
        """LD_LIBRARY_PATH for the programs: their own folders first."""
        folders = glob.glob(self.path("usr/lib/*-linux-gnu")) + glob.glob(self.path("lib/*-linux-gnu"))
        folders += [self.path("usr/lib/postfix"), self.path("usr/lib")]
        return ":".join(folder for folder in folders if os.path.isdir(folder))

    def environment(self, **more):
        return {**os.environ, "LD_LIBRARY_PATH": self.library_path(), **more}


def unpack(build_folder, name, packages, where_known=(), needed=("lib",)):
    """Fetches `packages` and the libraries they need and the machine has not; skips the test where that fails.

    `where_known`: packages that not every release has, since there their files are in another one. `needed`: how the
    names of packages begin that are fetched since others depend on them.
    """
    root = os.path.join(build_folder, "peers", name)
    complete = os.path.join(root, ".complete")
    try:
        if not os.path.exists(complete):
            with _alone(os.path.dirname(root)):
                if not os.path.exists(complete):
                    _fetch(root, packages, where_known, needed)
    except (subprocess.CalledProcessError, OSError) as error:
        detail = getattr(error, "stderr", "") or ""
        pytest.skip(f"cannot fetch {' '.join(packages)}: {error} {detail}")
    return Unpacked(root)


@contextlib.contextmanager
def _alone(folder):
    """One process at a time fetches: the others want the same, and apt does not like company."""
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(root, packages, where_known, needed):
    _update_lists(packages[0])
    packages = [*packages, *filter(_is_known, where_known)]
    # What was begun and not finished is nobody's: work in a folder of our own, move it when all is there.
    staging = tempfile.mkdtemp(dir=os.path.dirname(root))
    os.chmod(staging, 0o755)
    try:
        _unpack_all(packages, staging, needed)
        shutil.rmtree(root, ignore_errors=True)
        os.rename(staging, root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack_all(packages, staging, needed):
    wanted, unpacked = set(packages), set()
    while wanted:
        more = set()
        with _downloaded(wanted) as archives:
            for archive in archives:
                subprocess.run(["dpkg-deb", "-x", archive, staging], check=True, capture_output=True, text=True)
                more.update(name for name in _dependencies(archive, needed) if not _installed(name))
        unpacked |= wanted
        wanted = more - unpacked
    _drop_set_user_id_bits(staging)
    with open(os.path.join(staging, ".complete"), "w", encoding="ascii") as marker:
        marker.write("\n".join(sorted(unpacked)) + "\n")


@functools.cache
def _is_known(package):
    """There is such a package in this release, by that very name."""
    shown = subprocess.run(["apt-cache", "show", package], capture_output=True, check=False)
    return shown.returncode == 0 and shown.stdout.strip() != b""


@functools.cache
def _update_lists(package):
    """A minimal machine has no package lists yet."""
    if not _is_known(package):
        subprocess.run(["apt-get", "update", "-qq"], check=True, capture_output=True, text=True)


@contextlib.contextmanager
def _downloaded(packages):
    """All by one call: each takes seconds, whatever it is for."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)  # apt fetches as a user of its own
        subprocess.run(["apt-get", "download", "-qq", *sorted(packages)], cwd=folder, check=True, capture_output=True, text=True)
        yield sorted(glob.glob(os.path.join(folder, "*.deb")))


def _dependencies(archive, prefixes):
    """Those packages that this one depends on whose names begin so; of alternatives the first that there is."""
    depends = subprocess.run(
        ["dpkg-deb", "-f", archive, "Depends"], check=True, capture_output=True, text=True
    ).stdout
    found = []
    for entry in filter(str.strip, depends.split(",")):
        names = [re.split(r"[ (:]", each.strip())[0] for each in entry.split("|")]
        names = (name for name in names if name.startswith(prefixes) and name != "libc6" and _is_known(name))
        found += itertools.islice(names, 1)
    return found


def _installed(package):
    """It is there, or another that provides it."""
    return package in _packages_of_this_machine()


@functools.cache
def _packages_of_this_machine():
    shown = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}, ${Provides}\n"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = set()
    for line in shown.stdout.splitlines():
        status, _, names = line.partition(" ")
        if status == "installed":
            found.update(entry.split()[0] for entry in names.split(",") if entry.strip())
    return found


def _drop_set_user_id_bits(root):
    for folder, _, files in os.walk(root):
        for file in files:
            path = os.path.join(folder, file)
            if not os.path.islink(path) and os.stat(path).st_mode & 0o6000:
                os.chmod(path, os.stat(path).st_mode & 0o777)
