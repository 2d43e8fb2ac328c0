"""The world is made once for all scenarios of this folder."""

import pytest
from world import World

from harness.legacy_hosts import LegacyExim, LegacyPostfix
from harness.netns import need_namespaces


@pytest.fixture(scope="session")
def world(build_folder, session_folder):
    need_namespaces()
    made = World(build_folder, f"{session_folder}/world")
    yield made
    made.close()


@pytest.fixture(scope="session")
def legacy_postfix(world):
    server = LegacyPostfix(world.build_folder, f"{world.folder}/legacy-postfix", world.legacy)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def legacy_exim(world):
    return LegacyExim(world.build_folder, f"{world.folder}/legacy-exim", world.legacy)
