"""How the processes of a job find each other, and what each may take of its GPU. Imports torch."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import torch
import torch.distributed
from accelerate import PartialState

from .launch import RENDEZVOUS

#: How long a process waits for the others at the start, and for their part of a sum, in seconds: saving a large model takes long.
PATIENCE = 1800
ADDRESS = "127.0.0.1"


def processes(sharded: bool = False) -> PartialState:
    """The processes of this run. Without a launcher there is one; torchrun's environment is understood, too.

    One process that is to be `sharded`, which offloads to main memory what a GPU cannot hold, is a group of one.
    """
    on_cpu = not torch.accelerator.is_available()
    if sharded and "RANK" not in os.environ:
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
        join(None, on_cpu)
    elif RENDEZVOUS in os.environ and not torch.distributed.is_initialized():
        join(Path(os.environ[RENDEZVOUS]), on_cpu)
    return PartialState(cpu=on_cpu)


def join(meeting: Path | None, on_cpu: bool) -> None:
    """Meet the other processes: rank 0 takes a free port and writes it into a file of the folder; None where there are no others.

    Those of several nodes meet where their environment says instead.
    """
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    patience = datetime.timedelta(seconds=PATIENCE)
    address = ADDRESS
    if meeting is not None and count > int(os.environ["LOCAL_WORLD_SIZE"]):
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = torch.distributed.TCPStore(address, port, count, rank == 0, patience, wait_for_workers=False)
    elif rank == 0:
        store = torch.distributed.TCPStore(ADDRESS, 0, count, True, patience, wait_for_workers=False)
        if meeting is not None:
            (meeting / "port.new").write_text(str(store.port))
            (meeting / "port.new").rename(meeting / "port")
    else:
        store = torch.distributed.TCPStore(ADDRESS, read_port(meeting / "port"), count, False, patience)
    # Accelerate and other libraries look for these; nothing is bound to the port again.
    os.environ |= {"MASTER_ADDR": address, "MASTER_PORT": str(store.port)}
    # Sums of what lies in main memory (offloaded weights, checkpoints) go by gloo.
    backend = "gloo" if on_cpu else "cuda:nccl,cpu:gloo"
    if not on_cpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=patience)


def read_port(place: Path) -> int:
    """The port, once rank 0 has written it. The launcher ends this process should rank 0 die before."""
    while not place.exists():
        time.sleep(0.01)
    return int(place.read_text())


def leave() -> None:
    """Part from the other processes at the end of a run that went well."""
    if torch.distributed.is_initialized():
        # Rank 0 holds what the others ask for as they leave.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def limit_memory(environment: dict[str, str] | os._Environ = os.environ) -> None:
    """Keep to the job's share of its GPU: what goes beyond is an out-of-memory error here, and not in a neighbour."""
    share = environment.get("ANNEAL_GPU_MEMORY_BYTES")
    if share and torch.cuda.is_available():
        total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, int(share) / total))
