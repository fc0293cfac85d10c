"""Partitions: who cannot reach whom on the pod network.

A cut is one-way: packets from `source` to `target` are sent to a hardware address nobody has, so they
vanish without an answer, as in a real partition: connections hang until somebody's patience ends. It needs
no packet filter, so it works on every kernel and without root.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from hasteward_lab.chaos.relay import Relay, Weather
from hasteward_lab.kubelet.network import BRIDGE, GATEWAY, run

API = "api"
_NOBODY = "02:00:00:00:de:ad"


@dataclass(frozen=True)
class Place:
    """A pod on the network: its namespace's name, its address, and its link on the bridge's side."""

    netns: str
    address: str
    link: str


class Links:
    """The network as chaos sees it. Cuts are between names: a pod that comes back is still cut off."""

    def __init__(self, places: Callable[[], dict[str, Place]]) -> None:
        self._places = places
        self._cuts: set[tuple[str, str]] = set()
        self._made: dict[tuple[str, str], tuple[str, str]] = {}
        self._isolated: set[str] = set()
        self._weather: dict[str, Weather] = {}
        self._relays: dict[str, tuple[str, Relay]] = {}

    def cut(self, source: str, target: str, *, one_way: bool) -> None:
        """Lose everything from one to the other, and back unless it is one-way."""
        if source == target:
            raise ValueError("a partition is between two different places")
        for name in (source, target):
            self._known(name)
        self._cuts.add((source, target))
        if not one_way:
            self._cuts.add((target, source))
        self.apply()

    def isolate(self, pod: str) -> None:
        """Pull a pod's plug."""
        self._known(pod, api=False)
        self._isolated.add(pod)
        self.apply()

    def weather(self, pod: str, weather: Weather) -> None:
        """Make a pod's link slow or lossy."""
        self._known(pod, api=False)
        self._weather[pod] = weather
        self.apply()

    def heal(self, *names: str) -> None:
        """End all of it: for one name whatever it is part of, for two what is between them."""
        if len(names) == 2:
            self._cuts = {cut for cut in self._cuts if set(cut) != set(names)}
        else:
            gone = set(names)
            self._cuts = {cut for cut in self._cuts if gone and not gone & set(cut)}
            self._isolated -= gone or set(self._isolated)
            for name in gone or set(self._weather):
                self._weather.pop(name, None)
        self.apply()

    def listing(self) -> list[str]:
        """What is wrong with the network, a line each."""
        rows = [f"{source} -> {target} lost" for source, target in sorted(self._cuts)]
        rows += [f"{name} unplugged" for name in sorted(self._isolated)]
        return rows + [
            f"{name} latency {weather.latency:g} s, loss {weather.loss:.0%}"
            for name, weather in sorted(self._weather.items())
        ]

    def apply(self) -> None:
        """Make the network as it should be; called again whenever a pod has come or gone."""
        places = self._places()
        self._apply_cuts(places)
        for name, place in places.items():
            run("ip", "link", "set", "dev", place.link, "down" if name in self._isolated else "up")
        self._apply_weather(places)

    def _apply_cuts(self, places: dict[str, Place]) -> None:
        wanted = {}
        for source, target in self._cuts:
            begin, end = places.get(source), places.get(target)
            if (begin or source == API) and (end or target == API):
                wanted[source, target] = (begin.netns if begin else "", end.address if end else GATEWAY)
        for cut, made in list(self._made.items()):
            if wanted.get(cut) != made:
                del self._made[cut]
                # With the pod its namespace is gone, and the entry with that.
                with contextlib.suppress(RuntimeError):
                    _neighbour("del", *made)
        for cut, todo in wanted.items():
            if cut not in self._made:
                _neighbour("replace", *todo, "lladdr", _NOBODY, "nud", "permanent")
                self._made[cut] = todo

    def _apply_weather(self, places: dict[str, Place]) -> None:
        for name, (link, relay) in list(self._relays.items()):
            place = places.get(name)
            if name not in self._weather or place is None or place.link != link:
                del self._relays[name]
                relay.close()
        for name, weather in self._weather.items():
            if name in self._relays:
                self._relays[name][1].weather = weather
            elif name in places:
                link = places[name].link
                self._relays[name] = (link, Relay(link, weather))

    def _known(self, name: str, *, api: bool = True) -> None:
        if name not in self._places() and not (api and name == API):
            raise ValueError(f"there is no pod {name!r} on the network")


def _neighbour(verb: str, netns: str, address: str, *more: str) -> None:
    where = ("-netns", netns) if netns else ()
    run("ip", *where, "neigh", verb, address, "dev", "eth0" if netns else BRIDGE, *more)
