"""Programs that attack the machine they run on, really run: each is stopped by the layer that is there for it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from autocomp_mcp.hardware_adapters.process import Finished
from autocomp_mcp.hardware_adapters.sandbox import Reach, Sandbox, devices
from autocomp_mcp.hardware_adapters.sandbox.reach import Place, places

Confined = Callable[..., Finished]
ANY = Reach()  # any number of processes up to its limit
WIDE = devices()
CANARY = "canary-5b0d94e1"


def said(done: Finished) -> str:
    assert done.returncode == 0, done
    return done.stdout.strip()


TRY = """
def attempt(what, *arguments):
    try:
        return print("done:", what(*arguments))
    except BaseException as error:
        print(type(error).__name__, getattr(error, "errno", None))
"""


@pytest.mark.parametrize("named", [True, False], ids=["named", "usual"])
def test_who_sees_the_whole_machine_sees_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: bool) -> None:
    """Outside of the user's home, in a place that nothing else hides."""
    kept = tmp_path / "autocomp-mcp"
    kept.mkdir()
    monkeypatch.delenv("AUTOCOMP_HOME", raising=False)
    monkeypatch.setenv(*("AUTOCOMP_HOME", str(kept)) if named else ("XDG_DATA_HOME", str(tmp_path)))
    assert Place("empty", str(kept)) in places(WIDE, tmp_path / "scratch")


@pytest.mark.parametrize("reach", [None, WIDE], ids=["narrow", "wide"])
@pytest.mark.usefixtures("confinement")
def test_the_users_home_is_not_there(
    confined: Confined, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reach: Reach | None
) -> None:
    key = tmp_path / "user" / ".ssh" / "id_ed25519"
    key.parent.mkdir(parents=True)
    key.write_text(CANARY)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    done = confined(TRY + f"attempt(lambda: open({str(key)!r}).read())", reach)
    assert CANARY not in done.stdout
    assert said(done).split()[0] in ("FileNotFoundError", "PermissionError")


@pytest.mark.parametrize("reach", [None, WIDE], ids=["narrow", "wide"])
@pytest.mark.usefixtures("confinement")
def test_nothing_is_written_but_in_the_scratch_folder(confined: Confined, tmp_path: Path, reach: Reach | None) -> None:
    places = [tmp_path / "outside", Path("/usr/autocomp-hostile"), Path("/autocomp-hostile"), Path("/etc/hostile")]
    places += [Path(os.environ["AUTOCOMP_HOME"]) / "hostile"]
    lines = "\n".join(f"attempt(open, {str(path)!r}, 'w')" for path in places)
    done = confined(TRY + lines + "\nopen('inside', 'w').write('mine')", reach)
    assert said(done).count("done") <= 2  # what it has of /tmp is its own, and ends with it
    assert not any(path.exists() for path in places)
    assert (tmp_path / "scratch" / "inside").read_text() == "mine"


@pytest.mark.usefixtures("confinement")
def test_settings_of_the_machine_cannot_be_changed(confined: Confined) -> None:
    before = Path("/proc/sys/kernel/core_pattern").read_bytes()
    names = ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/uid_map")
    done = confined(TRY + "\n".join(f"attempt(lambda: open({name!r}, 'w').write('x'))" for name in names))
    assert "done" not in said(done)
    assert Path("/proc/sys/kernel/core_pattern").read_bytes() == before


@pytest.mark.parametrize("reach", [None, WIDE], ids=["narrow", "wide"])
@pytest.mark.usefixtures("confinement")
def test_no_server_is_reached(confined: Confined, reach: Reach | None) -> None:
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: callers.append(server.accept()), daemon=True).start()
        address = server.getsockname()
        done = confined(TRY + f"import socket\nattempt(socket.create_connection, {address!r}, 3)", reach)
        assert said(done).split()[0] in ("ConnectionRefusedError", "OSError", "PermissionError")
        assert not callers


@pytest.mark.usefixtures("confinement")
def test_no_environment_of_another_process_is_read(confined: Confined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", CANARY)
    child = f"""
import glob, os
found = 0
for name in glob.glob('/proc/[0-9]*/environ') + ['/proc/{os.getpid()}/environ', '/proc/{os.getppid()}/environ']:
    try:
        text = open(name, 'rb').read()
    except OSError:
        continue
    found += 1
    print(text)
print('read', found, 'own', len(os.environ))
"""
    done = confined(child)
    assert CANARY not in said(done)
    assert "ANTHROPIC" not in done.stdout


PTRACE = (
    TRY
    + """
import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
for call in (lambda: c.ptrace(0, 0, 0, 0), lambda: c.ptrace(16, {pid}, 0, 0), lambda: c.unshare(0x10000000),
             lambda: c.mount(b'none', b'/tmp', b'tmpfs', 0, None)):
    ctypes.set_errno(0)
    print(call(), ctypes.get_errno())
attempt(os.kill, {pid}, 9)
"""
)


@pytest.mark.usefixtures("confinement")
def test_no_other_process_is_traced_or_killed(confined: Confined) -> None:
    lines = said(confined(PTRACE.format(pid=os.getppid()))).splitlines()
    assert lines[:4] == ["-1 1"] * 4  # EPERM, each of them
    assert lines[4].split()[0] in ("ProcessLookupError", "PermissionError")


@pytest.mark.usefixtures("confinement")
def test_no_descriptor_is_inherited(confined: Confined, tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as stream:
        os.set_inheritable(stream.fileno(), True)
        done = confined("import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[:3], "
                        "sum(1 for fd in range(3, 1024) if os.path.exists(f'/proc/self/fd/{fd}')))")  # fmt: skip
    assert said(done) == "[0, 1, 2] 0"


BOMB = """
import os, time
count = 0
try:
    while count < 5000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        count += 1
except OSError as error:
    print('stopped', error.errno, count)
"""


@pytest.mark.usefixtures("confinement")
def test_a_program_that_needs_no_process_starts_none(confined: Confined) -> None:
    assert said(confined(BOMB)) == "stopped 11 0"


def test_a_fork_bomb_ends_with_its_limit_and_leaves_nothing(confined: Confined, spaces: Sandbox) -> None:
    if spaces.way == "bubblewrap" and os.geteuid() == 0:
        pytest.skip("the number of root's processes is limited by the launcher of our own only, as doctor says")
    before = processes()
    done = confined(BOMB, ANY._replace(tasks=100))
    word, error, count = said(done).split()
    assert (word, error) == ("stopped", "11") and int(count) <= 301  # the least that the kernel limits root to
    assert settled(lambda: processes() <= before + 20)


def processes() -> int:
    return sum(1 for _ in Path("/proc").glob("[0-9]*"))


def settled(what: Callable[[], bool]) -> bool:
    for _ in range(100):
        if what():
            return True
        time.sleep(0.05)
    return False


LEAVES = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1), os.close(2)
        while True:
            open('beat', 'a').write('x')
            time.sleep(0.01)
    os._exit(0)
time.sleep(0.3)
print('left')
"""


@pytest.mark.usefixtures("spaces")
def test_what_is_left_in_the_background_ends_with_the_program(confined: Confined, tmp_path: Path) -> None:
    assert said(confined(LEAVES, ANY)) == "left"
    beat = tmp_path / "scratch" / "beat"
    first = beat.stat().st_size
    time.sleep(0.3)
    assert first > 0 and beat.stat().st_size == first


@pytest.mark.usefixtures("spaces")
def test_a_timeout_ends_what_left_its_group(confined: Confined, tmp_path: Path) -> None:
    done = confined(LEAVES + "time.sleep(60)", ANY, wall_s=2)
    assert done.timed_out and done.limit == "wall"
    time.sleep(0.3)
    first = (tmp_path / "scratch" / "beat").stat().st_size
    time.sleep(0.3)
    assert (tmp_path / "scratch" / "beat").stat().st_size == first


@pytest.mark.usefixtures("confinement")
def test_memory_ends_at_its_limit(confined: Confined) -> None:
    assert said(confined(TRY + "attempt(bytearray, 8 << 30)")).startswith("MemoryError")


@pytest.mark.usefixtures("confinement")
def test_processor_time_ends_at_its_limit(confined: Confined) -> None:
    done = confined("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", wall_s=1)
    assert done.limit in ("wall", "cpu") and done.returncode != 0


@pytest.mark.usefixtures("confinement")
def test_a_file_ends_at_its_limit(confined: Confined, tmp_path: Path) -> None:
    code = "stream = open('large', 'wb')\nwhile True: stream.write(bytes(1 << 20))"
    done = confined(code, file_bytes=8 << 20)
    assert done.returncode != 0
    assert (tmp_path / "scratch" / "large").stat().st_size <= 8 << 20


@pytest.mark.usefixtures("confinement")
def test_a_program_that_fills_the_disk_is_ended(confined: Confined, tmp_path: Path) -> None:
    code = "import time\nfor n in range(100000):\n open(str(n), 'wb').write(bytes(1 << 20)); time.sleep(0.005)"
    done = confined(code, file_bytes=4 << 20, disk_bytes=64 << 20)
    assert done.limit == "disk" and "limit of disk" in done.ended_by
    assert sum(path.stat().st_size for path in (tmp_path / "scratch").iterdir()) < 512 << 20


@pytest.mark.usefixtures("confinement")
def test_a_program_that_prints_without_end_is_ended(confined: Confined) -> None:
    done = confined("import sys\nfor _ in range(1000): sys.stdout.write('x' * (1 << 20))", output_bytes=1000)
    assert done.limit == "output" and done.truncated and len(done.stdout) == 1000


def test_a_signal_and_a_status_come_through(confined: Confined, confinement: Sandbox) -> None:
    assert confined("raise SystemExit(7)").returncode == 7
    assert confined("import os; os.kill(os.getpid(), 11)").returncode == -11, confinement.way
