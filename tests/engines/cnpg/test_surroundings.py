"""What else is declared about a cluster: named, and refused where it would undo the restore."""

from __future__ import annotations

from typing import Any

import pytest
from cnpg_kit import CLUSTER

from hasteward.domain.errors import Refused
from hasteward.ports.context import EngineContext, Run
from hasteward.ports.kubernetes import ApiForbidden, ApiNotFound, ApiUnavailable, Resource
from hasteward.testing.clock import VirtualClock
from hasteward.testing.kubernetes import FakeKubernetes, Result
from hasteward.testing.reporter import Approval, RecordingReporter
from hasteward_cnpg.facts.surroundings import keepers, replica_source
from hasteward_cnpg.resources import CLUSTERS, DATABASES, POOLERS, PUBLICATIONS, SUBSCRIPTIONS
from hasteward_cnpg.restore.surroundings import check_surroundings


def named(called: str, /, **spec: Any) -> dict[str, Any]:
    cluster = spec.pop("cluster", "pg")
    return {"metadata": {"name": called, "namespace": "db"}, "spec": {"cluster": {"name": cluster}, **spec}}


@pytest.fixture
def api() -> FakeKubernetes:
    made = FakeKubernetes(program=lambda _pod, _argv, _stdin: Result())
    made.add(CLUSTERS, {"metadata": {"name": "pg", "namespace": "db"}, "spec": {"instances": 2}})
    for resource in (POOLERS, DATABASES, PUBLICATIONS, SUBSCRIPTIONS):
        made.add(resource, named("of-another", cluster="other", name="app", dbname="app", ensure="absent"))
    return made


POOLED = (
    "clients that come through pooler pooler-ro, pooler-rw lose their sessions at the swap like all others,"
    " and reach the restored databases afterwards"
)


def check(api: FakeKubernetes) -> list[str]:
    clock = VirtualClock()
    context = EngineContext(
        kubernetes=api,
        clock=clock,
        reporter=RecordingReporter(),
        run=Run("run1", clock.now()),
        approve=Approval(answer=True),
    )
    return check_surroundings(context, CLUSTER, ["app", "billing"])


def test_nothing_declared_is_nothing_said(api: FakeKubernetes) -> None:
    assert check(api) == []


def test_what_does_no_harm_is_named_in_the_plan(api: FakeKubernetes) -> None:
    api.add(POOLERS, named("pooler-rw", type="rw"))
    api.add(POOLERS, named("pooler-ro", type="ro"))
    api.add(DATABASES, named("the-app", name="app", owner="app"))
    api.add(DATABASES, named("not-restored", name="elsewhere", ensure="absent"))
    api.add(PUBLICATIONS, named("news", name="news", dbname="billing"))
    api.add(SUBSCRIPTIONS, named("gone", name="gone", dbname="app", ensure="absent"))
    api.objects[CLUSTERS.title, "db", "pg"]["metadata"] |= {
        "annotations": {"argocd.argoproj.io/tracking-id": "shop:postgresql.cnpg.io/Cluster:db/pg"},
        "labels": {
            "kustomize.toolkit.fluxcd.io/name": "apps",
            "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
        },
    }

    said = check(api)

    assert [note.partition(":")[0] for note in said] == [
        "Database object the-app declares database app",
        "Publication object news declares publication news in database billing",
        POOLED,
        "Argo CD application shop keeps the Cluster object pg",
        "Flux Kustomization flux-system/apps keeps the Cluster object pg",
    ]


@pytest.mark.parametrize(
    ("resource", "body", "words", "hint"),
    [
        (
            DATABASES,
            named("drop-it", name="app", ensure="absent"),
            "Database object drop-it declares that database app must not exist",
            "kubectl delete databases.postgresql.cnpg.io drop-it -n db",
        ),
        (
            SUBSCRIPTIONS,
            named("feed", name="feed_sub", dbname="billing"),
            "Subscription object feed declares subscription feed_sub in database billing",
            "kubectl delete subscriptions.postgresql.cnpg.io feed -n db",
        ),
    ],
)
def test_what_would_undo_the_restore_is_refused_by_name(
    api: FakeKubernetes, resource: Resource, body: dict[str, Any], words: str, hint: str
) -> None:
    api.add(resource, body)

    with pytest.raises(Refused) as caught:
        check(api)

    assert words in caught.value.message
    assert hint in caught.value.hint


def test_a_replica_cluster_is_refused_with_its_source(api: FakeKubernetes) -> None:
    api.objects[CLUSTERS.title, "db", "pg"]["spec"]["replica"] = {"enabled": True, "source": "pg-in-paris"}

    with pytest.raises(Refused, match="db/pg is a replica cluster: its data comes from pg-in-paris"):
        check(api)


@pytest.mark.parametrize(
    ("replica", "source"),
    [
        (None, None),
        ({"enabled": False, "source": "a"}, None),
        ({"enabled": True, "source": "a"}, "a"),
        ({"enabled": True}, "another one"),
        ({"primary": "pg", "source": "a"}, None),
        ({"primary": "a", "source": "a"}, "a"),
        ({"self": "here", "primary": "here", "source": "a"}, None),
        ({"self": "here", "primary": "there", "source": "b"}, "b"),
        ({"self": "here", "primary": "there", "enabled": False, "source": "b"}, None),
    ],
)
def test_who_follows_whom(replica: dict[str, Any] | None, source: str | None) -> None:
    assert replica_source({"metadata": {"name": "pg"}, "spec": {"replica": replica}}) == source


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({}, ()),
        ({"labels": {"argocd.argoproj.io/instance": "shop"}}, ("Argo CD application shop",)),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "pg"}}, ("Flux HelmRelease pg",)),
        ({"labels": {"app.kubernetes.io/instance": "pg"}}, ()),
    ],
)
def test_who_keeps_the_cluster_object(metadata: dict[str, Any], found: tuple[str, ...]) -> None:
    assert keepers({"metadata": metadata}) == found


def test_a_kind_that_the_server_does_not_have_is_none(api: FakeKubernetes) -> None:
    def absent(call: str) -> None:
        if call == "list databases":
            raise ApiNotFound("the server has no such kind")

    api.on_call = absent
    api.add(DATABASES, named("drop-it", name="app", ensure="absent"))

    assert check(api) == []


@pytest.mark.parametrize("plural", ["poolers", "databases", "publications", "subscriptions"])
@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (
            ApiForbidden("not allowed: list"),
            "grant list on poolers, databases, publications and subscriptions",
        ),
        (ApiUnavailable("the API server is away"), "run the same command again"),
    ],
)
def test_what_could_not_be_read_is_refused(
    api: FakeKubernetes, plural: str, error: Exception, hint: str
) -> None:
    def fail(call: str) -> None:
        if call == f"list {plural}":
            raise error

    api.on_call = fail

    with pytest.raises(Refused) as caught:
        check(api)

    assert str(error) in caught.value.message
    assert hint in caught.value.hint
