"""The acts of this engine, and those that work on a member's volumes in their order. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hasteward.domain.cluster import ClusterRef
from hasteward.domain.plan import Reversal
from hasteward.domain.repair import CAPTURE, RELEASE, Act
from hasteward.kit.helperpod import Helper, Mount, SecretMount, manifest
from hasteward_cnpg.facts.grounds import Grounds
from hasteward_cnpg.facts.objects import HelperFacts
from hasteward_cnpg.resources import (
    CA_MOUNT,
    DATA_DIRECTORY,
    FENCED_INSTANCES,
    LABEL_CLUSTER,
    MOUNT,
    RECONCILIATION,
    REPLICATION_MOUNT,
    WAL_DIRECTORY,
)

#: a helper that is left behind ends by itself after this; a clone may take hours
_HELPER_SECONDS: Final = 24 * 3600


class Kind(StrEnum):
    """The acts of this engine; `heal` knows how each is done."""

    RESTART = "restart"
    GIVE_UP = "give-up"
    FENCE = "fence"
    PAUSE = "pause"
    REMOVE = "remove"
    HELPER = "helper"
    VERIFY = "verify"
    CAPTURE = CAPTURE
    REWIND = "rewind"
    EMPTY = "empty"
    CLONE = "clone"
    ADOPT = "adopt"
    REJOIN = "rejoin"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Place:
    """A member's volumes, on which it is rewound or cloned from `primary`."""

    cluster: ClusterRef
    grounds: Grounds
    member: str
    primary: str
    facts: HelperFacts

    @property
    def _args(self) -> Mapping[str, str]:
        """What the acts on the volumes are told."""
        return {
            "data": DATA_DIRECTORY,
            "run": self.grounds.run,
            "log": WAL_DIRECTORY if self.facts.wal_volume else "",
            "tablespaces": json.dumps(self.grounds.tablespaces),
        }

    def _act(self, kind: Kind, text: str, reversal: Reversal, args: Mapping[str, str]) -> Act:
        return Act(kind.value, kind, self.member, text, reversal, args)

    def stop(self) -> list[Act]:
        """Its server is gone, and nothing starts it."""
        fence = f"fence {self.member} (its own entry in {FENCED_INSTANCES}): its server stops"
        pause = f"tell the operator to look away ({RECONCILIATION}: disabled)"
        remove = f"delete pod {self.member}; nothing makes it again until the operator works"
        return [
            self._act(Kind.FENCE, fence, Reversal.REVERSIBLE, {}),
            self._act(Kind.PAUSE, pause, Reversal.REVERSIBLE, {}),
            self._act(Kind.REMOVE, remove, Reversal.REVERSIBLE, {}),
        ]

    def quiesce(self, *, empty: bool) -> list[Act]:
        """Nobody but us on the volumes, and what the member holds read again."""
        name = self.member
        pod = json.dumps(manifest(self.cluster.namespace, self._helper(), self.grounds.run))
        helper = f"start a helper pod on the volumes of {name}, when no other pod uses them"
        verify = f"read the position of {name} again, and hold it against {self.primary}"
        told = {"data": DATA_DIRECTORY, "empty": "yes" if empty else "no"}
        return [
            *self.stop(),
            self._act(Kind.HELPER, helper, Reversal.REVERSIBLE, {"manifest": pod}),
            self._act(Kind.VERIFY, verify, Reversal.READ_ONLY, told),
        ]

    def _helper(self) -> Helper:
        name, facts = self.member, self.facts
        mounts = [Mount(name, MOUNT, read_only=False)]
        if facts.wal_volume:
            mounts.append(Mount(f"{name}-wal", facts.wal_mount, read_only=False))
        for folder in self.grounds.tablespaces:
            mount = folder.removesuffix("/data")
            mounts.append(Mount(f"{name}-tbs-{mount.rpartition('/')[2]}", mount, read_only=False))
        return Helper(
            name=f"hasteward-heal-{name}-{self.grounds.run}",
            image=facts.image,
            mounts=tuple(mounts),
            node=facts.node,
            user=facts.user,
            group=facts.group,
            account=facts.account,
            seconds=_HELPER_SECONDS,
            pull_secrets=facts.pull_secrets,
            tolerations=facts.tolerations,
            secrets=(
                SecretMount(self.grounds.ca_secret, CA_MOUNT, ("ca.crt",)),
                SecretMount(self.grounds.replication_secret, REPLICATION_MOUNT, ("tls.crt", "tls.key")),
            ),
            # L69: network policies often let only pods of the cluster reach its port
            labels={LABEL_CLUSTER: self.cluster.name},
            cluster=self.cluster,
        )

    def capture(self) -> Act:
        """All that is on the volumes, as it is."""
        text = f"capture the data directory of {self.member}, which nobody writes to any more, and prove it"
        return self._act(Kind.CAPTURE, text, Reversal.READ_ONLY, self._args)

    def rewind(self) -> list[Act]:
        """Back to where the logs part."""
        text = (
            f"rewind {self.member} to where its log parts from that of {self.primary} (pg_rewind); if that"
            " fails, clone it anew in its place"
        )
        adopt = f"give the rewound data of {self.member} its name back"
        return [self._act(Kind.REWIND, text, Reversal.FORWARD_ONLY, self._args), self._adopt(adopt, "drop")]

    def clone(self, *, kept: str, empty: bool) -> list[Act]:
        """Anew. `kept` says why the old data can stay until the member streams, "" if they cannot."""
        name = self.member
        text = f"clone {self.primary} onto the volume of {name} (pg_basebackup)"
        if kept or empty:
            adopt = f"swap the data of {name} for the clone; the old stays until it streams ({kept})"
            if empty:
                adopt = f"give the clone the name of the data of {name}, which holds none"
            clone = self._act(Kind.CLONE, text, Reversal.REVERSIBLE, self._args)
            return [clone, self._adopt(adopt, "keep" if kept else "drop")]
        gone = f"delete the data of {name}: there is no room, or it is not known, to keep it beside a clone"
        return [
            self._act(Kind.EMPTY, gone, Reversal.FORWARD_ONLY, self._args),
            self._act(Kind.CLONE, text, Reversal.FORWARD_ONLY, self._args),
            self._adopt(f"give the clone the name of the data of {name}", "drop"),
        ]

    def _adopt(self, text: str, old: str) -> Act:
        return self._act(Kind.ADOPT, text, Reversal.FORWARD_ONLY, {**self._args, "old": old})

    def release(self) -> list[Act]:
        """The volumes, the operator and the member are free again."""
        texts = {
            Kind.HELPER: f"delete the helper pod on the volumes of {self.member}",
            Kind.PAUSE: "let the operator work again; it makes the pod",
            Kind.FENCE: f"take our fence of {self.member} away",
        }
        return [
            Act(f"release-{kind}", RELEASE, self.member, text, Reversal.READ_ONLY, {"of": kind.value})
            for kind, text in texts.items()
        ]

    def discard(self) -> Act:
        """What was put aside."""
        text = f"delete what was put aside on the volume of {self.member}, once it streams"
        return self._act(Kind.DISCARD, text, Reversal.FORWARD_ONLY, self._args)
