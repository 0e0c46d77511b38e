"""What is not ours, as it really exports: asked once for all tests."""

import shutil

import pytest

from tests.compose import exported, watchers


@pytest.fixture(scope="session")
async def others(tmp_path_factory: pytest.TempPathFactory) -> exported.Labels:
    """Series of HAProxy, Consul, Alertmanager and Prometheus."""
    folder = tmp_path_factory.mktemp
    shipped = shutil.copytree(watchers.MANAGER, folder("alertmanager") / "shipped")
    async with (
        watchers.haproxy(folder("haproxy")) as balancer,
        watchers.consul(folder("consul")) as registry,
        watchers.alertmanager(shipped) as manager,
        watchers.prometheus(folder("prometheus"), "rule_files: []\n") as prometheus,
    ):
        urls = (balancer, registry, f"{manager}/metrics", f"{prometheus.url}/metrics")
        pages = [await watchers.page(url) for url in urls]
    found: dict[str, set[str]] = {}
    for text in pages:
        assert text is not None
        for name, labels in exported.read(text).items():
            found.setdefault(name, set()).update(labels)
    # Of Prometheus' rules there is one series for each group: it has none here.
    found.setdefault("prometheus_rule_group_last_duration_seconds", {"rule_group", *exported.OF_TARGETS})
    found.setdefault("prometheus_rule_evaluation_failures_total", {"rule_group", *exported.OF_TARGETS})
    return found
