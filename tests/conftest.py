"""What every test may use: where the shared captures are, and which tools this machine has."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED_PCAPS = ROOT.parent / "shared" / "data" / "pcaps"


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder of the run's own: tests leave the user's alone."""
    home = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(home))
        yield home


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden verdict tables anew")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether the golden tables are to be rewritten instead of compared."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def shared_pcaps() -> Path:
    """The folder of captures made by others; the test is skipped where it is absent."""
    if not SHARED_PCAPS.is_dir():
        pytest.skip("no ../shared/data/pcaps beside this checkout")
    return SHARED_PCAPS


@pytest.fixture
def tshark() -> str:
    """The path of tshark; the test is skipped where it is missing."""
    found = shutil.which("tshark")
    if found is None:
        pytest.skip("tshark is not here: install tshark")
    return found
