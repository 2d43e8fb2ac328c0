"""The world is made once for all scenarios of this folder."""

import pytest
from world import World

from harness.netns import need_namespaces


@pytest.fixture(scope="session")
def world(build_folder, session_folder):
    need_namespaces()
    made = World(build_folder, f"{session_folder}/world")
    yield made
    made.close()
