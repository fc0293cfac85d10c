"""Triage on real servers: it changes nothing, and a cluster that is sick is not called healthy."""

from __future__ import annotations

import pytest

from hasteward.domain.capability import Capability, Supported
from hasteward.domain.errors import ExitCode
from hasteward_lab.conformance.base import Conformance, Tools, another_cluster
from hasteward_lab.conformance.commandline import Hasteward
from hasteward_lab.conformance.picture import Picture, nothing_of_ours, writes
from hasteward_lab.conformance.site import Site

#: servers write down a thing or two by themselves; what triage did would be seen each time
_TRIES = 4


class TriageConformance(Conformance):
    """The command `triage`."""

    def test_triage_calls_a_healthy_cluster_healthy_and_changes_nothing(
        self, site: Site, hasteward: Hasteward
    ) -> None:
        """No object and no byte of a data directory; and nothing but reads was asked of the API."""
        self.offers(Capability.TRIAGE)

        assert hasteward.json("triage", *site.where)["healthy"]
        _changes_nothing(site, hasteward)

    @pytest.mark.long
    def test_what_is_wrong_is_seen_and_looking_changes_nothing(
        self, site: Site, hasteward: Hasteward, tools: Tools
    ) -> None:
        """Each of `troubles`; there is at least one."""
        self.offers(Capability.TRIAGE)
        assert self.troubles, "name at least one thing that can be wrong in `troubles`"
        for name, broken in self.troubles.items():
            with broken(site) as sick:
                tool = hasteward if sick is site else tools(sick)
                answer = tool.answer("triage", *sick.where, status=ExitCode.UNHEALTHY)
                assert answer["data"]["healthy"] is False, name
                _changes_nothing(sick, tool, status=ExitCode.UNHEALTHY)
            site.settle()
        assert hasteward.json("triage", *site.where)["healthy"]

    def test_a_cluster_that_does_not_exist_is_bad_input_and_nothing_is_touched(
        self, site: Site, hasteward: Hasteward
    ) -> None:
        """Whatever is asked: exit status 3, no write, no command in a pod, no snapshot."""
        engine = self.offers()
        commands = {
            Capability.TRIAGE: ("triage",),
            Capability.DUMP: ("backup",),
            Capability.RESTORE: ("restore", "--yes"),
            Capability.HEAL: ("repair", "--yes"),
        }
        offered = engine.info.capabilities
        asked = [words for wanted, words in commands.items() if offered.get(wanted) == Supported()]
        site.lab.clear_audit()
        for words in asked:
            verb, *rest = words
            answer = hasteward.answer(verb, *another_cluster(site.where), *rest, status=ExitCode.INVALID)
            assert answer["errors"][0]["hint"] or answer["errors"][0]["message"], verb

        assert asked
        assert writes(site.lab, site.context) == []
        nothing_of_ours(site.lab)
        assert hasteward.backups() == []


def _changes_nothing(site: Site, hasteward: Hasteward, *, status: int = 0) -> None:
    changed: list[str] = []
    for _ in range(_TRIES):
        site.rest()
        site.lab.clear_audit()
        before = Picture.of(site.lab)
        hasteward.answer("triage", *site.where, status=status)
        changed = before.changed(Picture.of(site.lab))
        assert writes(site.lab, site.context) == []
        if not changed:
            return
    pytest.fail(f"triage changed: {', '.join(changed)}")
