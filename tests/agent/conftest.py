import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

FAKES = Path(__file__).parents[1] / "fakes"
sys.path.insert(0, str(FAKES))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_real_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may reach a real service, whatever the developer's environment holds."""
    import os

    for name in list(os.environ):
        if name.startswith("ANTHROPIC_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
async def no_sleep() -> AsyncIterator[object]:
    async def sleep(seconds: float) -> None:
        return None

    yield sleep
