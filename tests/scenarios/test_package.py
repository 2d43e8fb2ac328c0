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
    """The same again, as if it were a later one."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("no dpkg-deb here")
    content, path = f"{folder}/content", f"{folder}/newer.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", package, content], check=True)
    subprocess.run(["sed", "-i", "s/^Version: .*/&+1/", f"{content}/DEBIAN/control"], check=True)
    subprocess.run(["dpkg-deb", "--build", "-Znone", content, path], check=True, stdout=subprocess.DEVNULL)
    return path


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
    server.stop()
    trial.purge(before, "dpkg", "--purge")
