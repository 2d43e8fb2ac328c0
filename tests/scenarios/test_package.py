"""The Debian package, on this machine as it would be after its installation: what ./dev package has built.

On clean systems of either release, with apt and Postfix: tests/try_package.
"""

import glob
import os
import shutil
import subprocess

import pytest

from harness.machine import Impossible, Machine
from harness.package_trial import Sink, Trial, inventory


@pytest.fixture
def package(build_folder):
    built = glob.glob(f"{build_folder}/postern_*.deb")
    if not built:
        pytest.skip("./dev package has not been run")
    return max(built, key=os.path.getmtime)


@pytest.fixture
def machine(folder):
    try:
        machine = Machine("/", folder)
    except Impossible as error:
        pytest.skip(f"systemd: {error}")
    yield machine
    machine.end()


@pytest.fixture
def newer(package, folder):
    """The same again, as if it were a later one, with other comments for those who configure it by hand."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("no dpkg-deb here")
    content, path = f"{folder}/content", f"{folder}/newer.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", package, content], check=True)
    subprocess.run(["sed", "-i", "s/^Version: .*/&+1/", f"{content}/DEBIAN/control"], check=True)
    with open(f"{content}/usr/share/postern/postern.yaml", "a", encoding="utf-8") as template:
        template.write("# More to know.\n")
    subprocess.run(["dpkg-deb", "--build", "-Znone", content, path], check=True, stdout=subprocess.DEVNULL)
    return path


def test_cmake_installs_the_same_below_a_prefix(package, build_folder, folder):
    if not shutil.which("cmake") or not os.path.exists(f"{build_folder}/CMakeCache.txt"):
        pytest.skip("no build of cmake's here")

    def installed(prefix, root, **environment):
        install = ["cmake", "--install", build_folder, "--prefix", prefix]
        own = {name: value for name, value in os.environ.items() if name != "DESTDIR"}
        subprocess.run(install, check=True, capture_output=True, env={**own, **environment})
        return {
            os.path.join(parent, name).removeprefix(root) for parent, _, names in os.walk(root) for name in names
        }

    listing = subprocess.run(["dpkg-deb", "--contents", package], check=True, capture_output=True, text=True).stdout
    packaged = {line.split()[-1].removeprefix(".") for line in listing.splitlines() if not line.startswith("d")}
    assert installed("/usr", f"{folder}/usr", DESTDIR=f"{folder}/usr") == packaged
    # Not for a package: the configuration is put in its place, too.
    prefix = f"{folder}/opt"
    elsewhere = installed(prefix, prefix)
    assert len(elsewhere) == len(packaged) + 1 and "/etc/postern/postern.yaml" in elsewhere
    with open(f"{prefix}/lib/systemd/system/postern.service", encoding="utf-8") as unit:
        assert f"ExecStart={prefix}/bin/postern run --config {prefix}/etc/postern/postern.yaml" in unit.read()


def test_its_life_from_installation_to_purge(machine, package, newer):
    def install(file):
        shutil.copyfile(file, machine.path("/tmp/postern.deb"))
        return machine.run("dpkg", "--install", "/tmp/postern.deb")

    # What this machine may have of its own is none of the package's.
    machine.sh("rm -rf /etc/postern /var/lib/postern; ! getent passwd postern >/dev/null || userdel postern")
    before = inventory(machine)
    server = Sink(machine)
    trial = Trial(machine, server, install)
    trial.first_installation(package)
    server.start()
    trial.configure()
    trial.deliver_one()
    trial.reload()
    trial.upgrade_under_load(newer, senders=8, seconds=1)
    trial.programs()
    trial.remove_and_install(newer, "dpkg", "--remove")
    server.stop()
    trial.purge(before, "dpkg", "--purge")
    # A user that was there before is not the package's, whatever it is called.
    machine.sh("useradd --system --no-create-home --user-group postern")
    there = machine.run("getent", "passwd", "postern")
    install(package)
    machine.run("dpkg", "--purge", "postern")
    assert machine.run("getent", "passwd", "postern") == there
    assert not os.path.exists(machine.path("/etc/postern"))
