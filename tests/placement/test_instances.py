"""Who is running, as the registry sees it."""

from tests.placement.conftest import Client
from tests.waiting import eventually


async def test_placement_announces_itself(placement: Client) -> None:
    """With the address at which it answers."""

    async def seen() -> list[str]:
        answer = await placement("GET", "/v1/instances")
        assert answer.status == 200
        return [f"http://{one['host']}:{one['port']}" for one in answer.body["instances"]]

    assert await eventually(seen) == [placement.url]
