"""HAProxy accepts what is written, whatever the settings say; what makes no sense is refused in a sentence."""

import stat
from pathlib import Path
from typing import Any

import pytest

from directory.memory_feed import MemoryFeed
from directory.values import CellEntry
from router.export import told
from router.export.answers import quoted
from router.export.app import Exporter, Options, planned
from router.export.errors import ExportFailed
from router.export.plan import Server, home, listening
from router.export.resolving import resolve
from router.export.runtime_socket import RuntimeSocket
from tests.fleets import Fleet
from tests.router.export.proxies import accepts, exported, exporter, following, short_folder
from tests.router.faults.certificates import serving_tls
from tests.router.upstreams import FakeCell, ask, get, serving, settings, snapshot_of
from tests.waiting import eventually

CELLS = {"cell-1": "http://127.0.0.1:8001", "cell-6": "http://[::1]:8002", "cell-s": "https://localhost:8003"}


@pytest.mark.parametrize("lua", [True, False])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"identify": ("host",), "domains": ("api.localhost", "x.y-z.example.com", "a1.b")},
        {"identify": ("path",), "require_api_key": False},
        {"identify": ("header",), "tenant_header": "X-$Odd'~Name"},
        {"identify": ("key",), "domains": ()},
        {"trusted_proxies": ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1"), "client_connections": 10},
        {"proxy_protocol": True, "pipe_idle_seconds": 7.5},
        {"refresh_seconds": 0.001, "connect_seconds": 0.0001, "response_seconds": 86_400, "drain_seconds": 0},
    ],
)
async def test_haproxy_accepts_what_is_written(values: dict[str, Any], lua: bool) -> None:
    """Without so much as a warning."""
    feed = MemoryFeed()
    await feed.fill(snapshot_of(CELLS, {"acme": ("cell-1", 5)}))
    with short_folder() as name:
        made = exporter(Path(name), feed, lua=lua, **values)
        await made.once()
        await made.stop()
        assert await accepts(Path(name) / "haproxy.cfg") == ""


async def test_an_empty_directory_is_exported_too() -> None:
    """Cells come later."""
    feed = MemoryFeed()
    await feed.fill(snapshot_of({}, {}))
    with short_folder() as name:
        made = exporter(Path(name), feed)
        written = await made.once()
        await made.stop()
        assert (written["tenants"], written["cells"]) == (0, 0)
        assert await accepts(Path(name) / "haproxy.cfg") == ""


async def test_every_kind_of_address_can_be_added_at_run_time() -> None:
    """IPv6, TLS and names, as in the file."""
    feed = MemoryFeed()
    async with serving(FakeCell()) as cell:
        await feed.fill(snapshot_of({"cell-1": cell.address}, {"acme": ("cell-1", 5)}))
        async with following(feed) as export:
            await feed.fill(snapshot_of({**CELLS, "cell-1": cell.address}, {"acme": ("cell-1", 5)}, seq=20))
            runtime = RuntimeSocket(export.haproxy.folder / "haproxy.sock")
            await runtime.connect()

            async def all_are_servers() -> bool:
                [said] = await runtime.ask(["show servers state cells"])
                assert {name.partition(".")[0] for name in told.servers(said)} == set(CELLS)
                return True

            await eventually(all_are_servers)
            await runtime.close()


@pytest.mark.parametrize("text", ["", "8080", ":0", "host:70000", "a b:80", "1.2.3.4:x", "[::1]"])
def test_an_address_to_listen_on_is_checked(text: str) -> None:
    """In words of the command line, not of HAProxy's parser."""
    with pytest.raises(ExportFailed, match="ADDR:PORT"):
        listening(text)


def test_addresses_to_listen_on() -> None:
    """As HAProxy writes them."""
    given = ("127.0.0.1:80", ":80", "*:80", "[::]:80", "::1:80", "host.example:80")
    assert [*map(listening, given)] == ["127.0.0.1:80", ":80", "*:80", "[::]:80", "[::1]:80", "host.example:80"]


@pytest.mark.parametrize("folder", ["/srv/a b", "/srv/a,b", "/srv/a'b", "/srv/" + "x" * 90])
def test_a_folder_that_haproxy_could_not_use_is_refused(folder: str) -> None:
    """Its rules name it, and sockets lie in it."""
    with pytest.raises(ExportFailed):
        planned(settings(), Options(Path(folder), "127.0.0.1:80"))


async def test_a_directory_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is written."""
    monkeypatch.setattr("router.export.app.PATIENCE_SECONDS", 0.3)
    feed = MemoryFeed()
    feed.away = True
    with short_folder() as name:
        made = exporter(Path(name), feed)
        with pytest.raises(ExportFailed, match="the cache is away"):
            await made.once()
        await made.stop()
        assert not (Path(name) / "haproxy.cfg").exists()


async def test_an_address_that_may_not_be_connected_to_becomes_no_server() -> None:
    """What a cell registers must not lead to a cloud's metadata service."""
    feed = MemoryFeed()
    await feed.fill(snapshot_of({"cell-1": "http://169.254.169.254", "cell-2": "http://127.0.0.1:1"}, {}))
    with short_folder() as name:
        made: Exporter = exporter(Path(name), feed)
        await made.once()
        await made.stop()
        assert set(made.servers.known) == {"cell-2"}


async def test_haproxy_and_cells_of_a_fleet_prove_to_each_other_who_they_are(fleet: Fleet) -> None:
    """By TLS 1.3 and the cell's own name. One without TLS is not exported; one that shows another name is sent
    nothing.
    """
    cell, other, feed = FakeCell(), FakeCell(), MemoryFeed()
    async with (
        serving_tls(cell, fleet.serving("cell-1").port("api")) as address,
        serving_tls(other, fleet.serving("cell-1").port("api")) as wrong,
    ):
        cells = {"cell-1": address, "cell-2": wrong, "cell-3": "http://127.0.0.1:8001"}
        await feed.fill(snapshot_of(cells, {"acme": ("cell-1", 5), "bolt": ("cell-2", 6)}))
        async with exported(feed, cell_tls_folder=str(fleet.program())) as haproxy:
            assert await accepts(haproxy.folder / "haproxy.cfg") == ""
            assert "cell-3." not in (haproxy.folder / "haproxy.cfg").read_text()
            assert stat.S_IMODE((haproxy.folder / "cells.pem").stat().st_mode) == 0o600
            assert (await haproxy.get()).body == b"ok"
            [writer] = cell.open
            assert writer.get_extra_info("cipher")[1] == "TLSv1.3"
            assert writer.get_extra_info("peercert")["subject"] == ((("commonName", "router"),),)
            of_bolt = get("/t/bolt/v1/things", key="ck_bolt_" + "k" * 43).replace(b"acme.api", b"bolt.api")
            assert (await ask(haproxy, of_bolt)).status == 503  # type: ignore[arg-type]
    assert not other.seen


async def test_a_name_is_resolved_by_us() -> None:
    """HAProxy gets an IP address; its certificate is checked for the name."""
    plain, secure = await resolve("cell-1", "http://localhost"), await resolve("cell-1", "https://localhost:8443")
    assert (plain.ip, plain.port, plain.tls_name) == ("127.0.0.1", 80, None)
    assert (secure.ip, secure.port, secure.tls_name) == ("127.0.0.1", 8443, "localhost")
    assert plain.name != secure.name
    assert "verifyhost localhost" in secure.words(settings())


def test_cells_may_ask_for_a_certificate() -> None:
    """HAProxy wants it and its key in one file, and is told who signs theirs."""
    cell = Server("cell-1", "10.0.0.7", 8443, "cells.example")
    both = settings(cell_ca="/ca.pem", cell_certificate="/both.pem", cell_key="/both.pem")
    assert "ca-file /ca.pem crt /both.pem sni str(cells.example)" in cell.words(both)
    with pytest.raises(ExportFailed, match="one file"):
        cell.words(settings(cell_certificate="/certificate.pem", cell_key="/key.pem"))


def test_a_servers_name_follows_from_its_address() -> None:
    """A cell that moves is another server, in every process the same one."""
    one = Server("cell-1", "127.0.0.1", 80)
    assert one.name == Server("cell-1", "127.0.0.1", 80).name
    assert one.name != Server("cell-1", "127.0.0.1", 81).name
    assert one.name.startswith("cell-1.")


def test_words_are_quoted_for_the_configuration() -> None:
    """Whatever a message says."""
    assert quoted("a \"b\" \\ $c 'd' # e") == '"a \\"b\\" \\\\ \\$c \'d\' # e"'


def test_commands_stay_short() -> None:
    """HAProxy reads each into one buffer; entries never get lost between two."""
    entries = [(f"tenant-{number:06d}", f"cell-1:{number}") for number in range(5000)]
    commands = list(told.filled("m", entries, 7))
    assert all(len(command) < 10_000 and command.startswith("add map @7 m <<\n") for command in commands)
    lines = [line for command in commands for line in command.splitlines()[1:]]
    assert lines == [" ".join(entry) for entry in entries]
    assert list(told.filled("m", [])) == []


def test_answers_are_read() -> None:
    """As HAProxy 2.6 gives them."""
    assert list(told.entries("0x55 acme cell-1:5\n0x56 b -\n")) == [("acme", "cell-1:5"), ("b", "-")]
    assert told.version("New version created: 12") == 12
    assert told.version("Unknown map identifier. Please use #<id> or <file>.") is None
    assert home(None) == "-"
    assert CellEntry("cell-1", "open", "x").cell_id == "cell-1"
