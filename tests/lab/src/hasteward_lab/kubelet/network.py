"""The pod network: one bridge per lab, one network namespace and address per pod."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

from hasteward_lab.programs import find

BRIDGE = "br0"
GATEWAY = "10.88.0.1"
SUBNET = "10.88.0.0/24"
_NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_FIRST, _LAST = 11, 250


def run(*argv: str) -> None:
    """Run a program of the set-up; what it said comes with the error."""
    done = subprocess.run([find(argv[0]), *argv[1:]], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")


def enter(namespace: str) -> None:
    """Put this thread into a network namespace; a thread that does this must do nothing else."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot enter the pod's network")
    finally:
        os.close(descriptor)


class Network:
    """Addresses and links of the pods. A pod keeps its namespace over restarts of its container."""

    def __init__(self) -> None:
        self._next = _FIRST
        self._links: dict[str, tuple[str, str]] = {}

    def set_up(self) -> None:
        """Make the bridge; `/run` must already be the lab's own."""
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")

    def add(self, pod: str) -> str:
        """Give a pod its namespace and a fresh address, and return the address."""
        number, self._next = self._next, self._next + 1 if self._next < _LAST else _FIRST
        address, link = f"10.88.0.{number}", f"v{number}"
        self._links[pod] = (link, address)
        run("ip", "netns", "add", pod)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", pod)
        run("ip", "link", "set", link, "master", BRIDGE, "up")
        inside = (
            f"link set lo up\naddr add {address}/24 dev eth0\nlink set eth0 up\n"
            f"route add default via {GATEWAY}\n"
        )
        subprocess.run(
            [find("ip"), "-netns", pod, "-batch", "-"],
            input=inside,
            text=True,
            check=True,
            capture_output=True,
        )
        return address

    def remove(self, pod: str) -> None:
        """Take a pod off the network."""
        if self._links.pop(pod, None):
            run("ip", "netns", "del", pod)

    def addresses(self) -> dict[str, str]:
        """The addresses of all pods on the network."""
        return {pod: address for pod, (_, address) in self._links.items()}

    def link(self, pod: str) -> str:
        """The bridge's side of a pod's link."""
        return self._links[pod][0]

    @staticmethod
    def path(pod: str) -> str:
        """The file that stands for a pod's network namespace."""
        return str(_NAMESPACES / pod)
