"""Starts Ray once as a run does, and tells where its processes listen: `python -m suite.run.ray.probe` prints JSON."""

from __future__ import annotations

import json
import os
import time
from ipaddress import IPv6Address, ip_address

import ray

from suite.run.ray.starting import start_ray


def listening_ports() -> tuple[int, int]:
    """How many ports Ray's processes listen on: for this machine alone, and for others too. Ray must run."""
    import psutil  # Ray brings it along

    ports: dict[bool, set[int]] = {True: set(), False: set()}
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            found = process.net_connections(kind="inet")
        except psutil.Error:  # it has ended
            continue
        for one in found:
            if one.status == psutil.CONN_LISTEN:
                ports[_is_loopback(one.laddr.ip)].add(one.laddr.port)
    return len(ports[True]), len(ports[False])


def _is_loopback(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None  # ::ffff:127.0.0.1 of gRPC's sockets
    return (mapped or found).is_loopback


def main() -> None:
    """Start Ray, print how long it took and what it listens on, and end it."""
    began = time.monotonic()
    start_ray()
    seconds = time.monotonic() - began
    here, everywhere = listening_ports()
    ray.shutdown()
    print(json.dumps({"seconds": seconds, "ports_here": here, "ports_everywhere": everywhere}))


if __name__ == "__main__":
    main()
