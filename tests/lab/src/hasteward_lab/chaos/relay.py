"""Latency and loss on a pod's link, in user space.

The kernel's own emulator (`tc netem`) is a module that many kernels, small ones above all, do not bring.
So the pod's link is taken off the bridge and this relay carries the frames, later or not at all. Frames
travel with their offload header (PACKET_VNET_HDR): without it large segments and open checksums would be
lost in a way nobody asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from dataclasses import dataclass

from hasteward_lab.kubelet.network import BRIDGE, run

_SOL_PACKET, _PACKET_VNET_HDR, _ETH_P_ALL, _OUTGOING = 263, 15, 0x0003, 4
# A GSO frame is at most 64 KiB and its headers.
_FRAME = 70_000
_BATCH = 64


@dataclass(frozen=True)
class Weather:
    """How bad a link is, in each direction."""

    latency: float = 0.0
    loss: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.latency <= 60:
            raise ValueError("latency is in seconds, 0 to 60")
        if not 0 <= self.loss <= 1:
            raise ValueError("loss is a fraction, 0 to 1")


def _socket(link: str) -> socket.socket:
    found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    found.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    found.bind((link, 0))
    found.settimeout(0)
    return found


class Relay:
    """Stands between a pod's link and the bridge until it is closed."""

    def __init__(self, link: str, weather: Weather) -> None:
        self._link = link
        self._ours = f"r{link}"
        self.weather = weather
        # The same weather on every run.
        self._dice = random.Random(0)  # noqa: S311 - loses packets, guards nothing
        run("ip", "link", "add", "name", self._ours, "type", "veth", "peer", "name", f"s{link}")
        # This side must not answer ARP for the bridge's address: it is a wire, not a host.
        run("ip", "link", "set", "dev", self._ours, "arp", "off", "up")
        run("ip", "link", "set", "dev", f"s{link}", "master", BRIDGE, "up")
        run("ip", "link", "set", "dev", link, "arp", "off", "nomaster")
        self._pod, self._bridge = _socket(link), _socket(self._ours)
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pod, self._carry, self._pod, self._bridge)
        loop.add_reader(self._bridge, self._carry, self._bridge, self._pod)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_BATCH):
            try:
                frame, where = source.recvfrom(_FRAME)
            except OSError:
                return
            if where[2] == _OUTGOING or self._dice.random() < self.weather.loss:
                continue
            loop.call_later(self.weather.latency, self._send, target, frame)

    @staticmethod
    def _send(target: socket.socket, frame: bytes) -> None:
        # A full queue or a link that is down loses frames, as a network does.
        with contextlib.suppress(OSError):
            target.send(frame)

    def close(self) -> None:
        """Put the pod's link back on the bridge."""
        loop = asyncio.get_running_loop()
        for each in (self._pod, self._bridge):
            loop.remove_reader(each)
            each.close()
        for argv in (
            ("link", "del", self._ours),
            ("link", "set", "dev", self._link, "arp", "on", "master", BRIDGE),
        ):
            # The pod, and with it the link, may be gone already.
            with contextlib.suppress(RuntimeError):
                run("ip", *argv)
