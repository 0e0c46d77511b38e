"""`cellway router export haproxy` as an operator runs it: real processes, a real Redis."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from directory.redis_feed import RedisFeed
from directory.values import Change, TenantEntry
from runtime.embedded.ports import free_port
from runtime.embedded.redis import RedisServer
from tests.router.export.proxies import Haproxy, program, seconds_until, short_folder
from tests.router.upstreams import IDENTITY, FakeCell, serving, snapshot_of
from tests.waiting import START_SECONDS, eventually


@contextlib.asynccontextmanager
async def cellway(redis_url: str, root: Path, *arguments: str) -> AsyncIterator[Process]:
    """The console's process; ended at last."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CELLWAY_")}
    environment |= {"CELLWAY_ROUTER_DIRECTORY_REDIS_URL": redis_url, "CELLWAY_ROUTER_LOG_FORMAT": "json"}
    command = (sys.executable, "-m", "console", "router", "export", "haproxy", *arguments)
    process = await asyncio.create_subprocess_exec(*command, cwd=root, env=environment, stdout=PIPE, stderr=PIPE)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_a_change_in_redis_is_in_haproxy_within_a_second(project_root: Path, tmp_path: Path) -> None:
    """From the command line to the request, with Redis gone in between; the figure is printed."""
    program()
    listen = f"127.0.0.1:{free_port()}"
    async with serving(FakeCell()) as one, serving(FakeCell()) as two:
        with short_folder() as name, RedisServer(tmp_path / "redis", "secret-word") as server:
            port = server.port
            feed = RedisFeed(server.url)
            await feed.fill(snapshot_of({"cell-1": one.address, "cell-2": two.address}, {"acme": ("cell-1", 5)}))
            arguments = ("--output", name, "--listen", listen)
            async with cellway(server.url, project_root, *arguments, "--json") as once:
                said, _ = await once.communicate()
                assert (once.returncode, json.loads(said)["tenants"]) == (0, 1)
            haproxy = Haproxy(Path(name), int(listen.rpartition(":")[2]))
            await haproxy.start()
            try:
                async with cellway(server.url, project_root, *arguments, "--follow") as follower:
                    await _moves(feed, haproxy, two, "cell-2", 6)  # once that is so, the follower is up
                    await _moves(feed, haproxy, one, "cell-1", 7)
                    server.stop()
                    assert (await haproxy.get()).status == 200
                    with RedisServer(tmp_path / "redis", "secret-word", port=port):
                        await _moves(feed, haproxy, two, "cell-2", 8)
                        follower.send_signal(signal.SIGTERM)
                        _, log = await follower.communicate()
                        assert follower.returncode == 0, log.decode()
                assert "acme cell-2:8" in (Path(name) / "tenants.map").read_text()
                assert haproxy.alive
            finally:
                await haproxy.stop()
                await feed.close()


async def _moves(feed: RedisFeed, haproxy: Haproxy, cell: FakeCell, name: str, epoch: int) -> None:
    async def published() -> bool:
        with contextlib.suppress(Exception):
            last = await feed.published(IDENTITY)
            await feed.publish(IDENTITY, [Change((last or 0) + 1, TenantEntry("acme", name, epoch))])
            return True
        return False

    async def there() -> bool:
        cell.seen.clear()
        return (await haproxy.get()).status == 200 and bool(cell.seen)

    await eventually(published, seconds=START_SECONDS)
    print(f"from Redis to HAProxy: {await seconds_until(there) * 1000:.1f} ms")


async def test_faults_are_one_sentence(project_root: Path) -> None:
    """With an exit code of their own."""
    async with cellway("redis://127.0.0.1:1/0", project_root, "--output", "/srv/a b") as process:
        _, said = await process.communicate()
    assert (process.returncode, said.decode().count("\n")) == (1, 1)
    assert "A-Z a-z 0-9" in said.decode()
    with short_folder() as name:
        async with cellway("nonsense", project_root, "--output", name, "--listen", "x") as process:
            _, said = await process.communicate()
    assert process.returncode == 1
    assert "ADDR:PORT" in said.decode()
    assert "Traceback" not in said.decode()
