"""A real Slurm of several nodes on this machine, from Debian's packages, set up in a folder and taken down again.

Every node is a `slurmd` of its own under a name of its own. They share the cores of the machine, so the lock of one
measurement a machine makes their jobs take turns.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "munged")
MAX_ARRAY_SIZE = 3

_CONF = """
ClusterName=rnnbench
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
# A container has neither control groups that can be written nor a database.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=5
SlurmctldTimeout=10
KillWait=3
MaxArraySize={array}
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


@dataclasses.dataclass(frozen=True)
class SmallSlurm:
    """A running Slurm: its folder, and {node: feature}."""

    folder: Path
    nodes: Mapping[str, str]

    def run(self, *words: str) -> str:
        """The output of a command of Slurm."""
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        (self.folder / "spool" / node).mkdir(parents=True, exist_ok=True)
        self.run("slurmd", "-N", node)

    def kill_node(self, node: str) -> None:
        """Kill the daemon of a node, whose jobs it leaves behind."""
        with contextlib.suppress(FileNotFoundError, ValueError, ProcessLookupError):
            os.kill(int((self.folder / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)

    def start_waiting(self) -> None:
        """Have jobs start at once that Slurm queued again: by itself it waits for two minutes."""
        for line in self.run("squeue", "--noheader", "--states=pending", "--array", "--format=%A|%r").splitlines():
            job, _, reason = line.partition("|")
            if reason == "BeginTime":
                with contextlib.suppress(subprocess.CalledProcessError):
                    self.run("scontrol", "update", f"JobId={job}", "StartTime=now")

    def wait_for_nodes(self, seconds: float = 60.0) -> None:
        """Wait until every node can take jobs."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            states = self.run("sinfo", "--noheader", "--Node", "--format=%N %t").split()[1::2]
            if len(states) == len(self.nodes) and not {"down", "unk", "down*", "unk*", "idle*"} & set(states):
                return
            time.sleep(0.5)
        raise AssertionError(self.run("sinfo", "-N", "-l"))


@contextlib.contextmanager
def small_slurm(folder: Path, nodes: Mapping[str, str], cores: int = 1) -> Iterator[SmallSlurm]:
    """A Slurm with these {node: feature} as long as the block lasts; skips the test where it is not installed."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed: apt-get install slurmctld slurmd slurm-client munge")
    for name in ("state", "spool", "log", "munge"):
        (folder / name).mkdir(parents=True)
    (folder / "munge").chmod(0o700)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    first_port = 20_000 + secrets.randbelow(30_000)
    host = socket.gethostname()
    user = getpass.getuser()
    lines = [_CONF.format(host=host, user=user, port=first_port, folder=folder, array=MAX_ARRAY_SIZE)]
    lines += [
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={first_port + at} CPUs={cores} Sockets=1 "
        f"CoresPerSocket={cores} ThreadsPerCore=1 Feature={feature}"
        for at, (node, feature) in enumerate(nodes.items(), start=1)
    ]
    conf = folder / "slurm.conf"
    conf.write_text("\n".join(lines) + "\n")
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(conf)
    running = SmallSlurm(folder, nodes)
    try:
        places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        running.run("munged", "--force", *(f"--{name}={folder}/munge/{file}" for name, file in places.items()))
        running.run("slurmctld", "-c")
        for node in nodes:
            running.start_node(node)
        running.wait_for_nodes()
        yield running
    finally:
        _take_down(folder)
        if before is None:
            del os.environ["SLURM_CONF"]
        else:
            os.environ["SLURM_CONF"] = before


def _take_down(folder: Path) -> None:
    """End every process of this Slurm and of its jobs: those whose environment names its configuration."""
    for _ in range(3):
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                environment = process.environ()
                is_its_own = environment.get("SLURM_CONF") == str(folder / "slurm.conf")
                is_daemon = process.name() in ("slurmctld", "slurmd", "slurmstepd", "munged")
                if is_its_own and (is_daemon or "SLURM_JOB_ID" in environment):
                    process.kill()
                    found.append(process)
        psutil.wait_procs(found, timeout=10)
