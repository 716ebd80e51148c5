"""What a CUDA matrix product decides, and what fits."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from ...schedules import CapacityError, ScheduleError, validated
from ..matrices import Gemm

MARK = "// sgemm schedule: "
SHARED_BYTES = 48 << 10  # what a kernel may declare without asking for more
SUMS = 64  # of a thread in registers


class SgemmSchedule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    staged: bool = Field(default=False, description="Tiles of A and B are staged in shared memory")
    bm: Literal[16, 32, 64, 128] = Field(default=16, description="Rows of C of a block")
    bn: Literal[16, 32, 64, 128] = Field(default=16, description="Columns of C of a block")
    bk: Literal[8, 16, 32] = Field(default=16, description="Steps of K per tile")
    tm: Literal[1, 2, 4, 8] = Field(default=1, description="Rows of C of a thread")
    tn: Literal[1, 2, 4, 8] = Field(default=1, description="Columns of C of a thread")
    turned: bool = Field(default=False, description="The tile of A is kept transposed, k first")
    pad: Literal[0, 1, 4] = Field(default=0, description="Floats behind each row of the tile of A")
    vector: Literal[1, 4] = Field(default=1, description="Floats per access of global memory, where rows are aligned")
    reads: Literal[1, 4] = Field(default=1, description="Floats per read of the tiles; with 4, results lie by four")
    stages: Literal[1, 2] = Field(default=1, description="Tiles of an operand in shared memory")
    unroll: bool = Field(default=False, description="The loop over a tile's steps of K is unrolled")
    restrict: bool = Field(default=False, description="Pointers are promised not to overlap")

    def with_(self, **changes: object) -> SgemmSchedule:
        """Raises ScheduleError."""
        return validated(SgemmSchedule, {**self.model_dump(), **changes})

    def fitted(self) -> SgemmSchedule:
        """One spelling for what makes no difference."""
        if not self.staged:
            return self.with_(
                bm=16, bn=16, bk=16, tm=1, tn=1, turned=False, pad=0, vector=1, reads=1, stages=1, unroll=False
            )
        return self

    @property
    def threads_across(self) -> int:
        return self.bn // self.tn

    @property
    def threads_down(self) -> int:
        return self.bm // self.tm

    @property
    def threads(self) -> int:
        return self.threads_across * self.threads_down

    @property
    def warp_across(self) -> int:
        """Threads beside each other in a warp. Where tiles are read by float4 it is 8 x 4 threads: what they read of
        either tile is then 128 bytes at most, one pass of the banks."""
        return 8 if self.paired else min(32, self.threads_across)

    @property
    def paired(self) -> bool:
        """Neighbouring lanes lie in one row of threads, lanes two apart in one column, so that a read of either tile
        by float4 returns the same to pairs of lanes, which takes half the passes."""
        return self.reads == 4 and self.threads_across % 8 == 0 and self.threads_down % 4 == 0

    def lane_places(self) -> list[tuple[int, int]]:
        """Column and row of each lane's thread within its warp."""
        if self.paired:
            return [(n & 1 | n >> 1 & 2 | n >> 2 & 4, n >> 1 & 1 | n >> 2 & 2) for n in range(32)]
        return [(lane % self.warp_across, lane // self.warp_across) for lane in range(32)]

    def width(self, pitch: int) -> int:
        """Floats per access of global memory, in rows of `pitch` floats."""
        return self.vector if pitch % self.vector == 0 else 1

    @property
    def shared_bytes(self) -> int:
        left = self.bk * (self.bm + self.pad) if self.turned else self.bm * (self.bk + self.pad)
        return 4 * self.stages * (left + self.bk * self.bn)


def check(_: Gemm, s: SgemmSchedule) -> None:
    """Raises ScheduleError for tiles that no block of threads can share out, CapacityError for what does not fit."""
    if not s.staged:
        return
    if s.reads == 4 and not (s.turned and s.tm % 4 == 0 and s.tn % 4 == 0 and s.pad % 4 == 0):
        raise ScheduleError("reads", "float4 needs the tile of A transposed, its rows aligned, and results by four")
    if s.tm * s.tn > SUMS:
        raise CapacityError("tm, tn", "registers", s.tm * s.tn, SUMS, "sums per thread")
    if s.threads < 64:
        raise ScheduleError("tm, tn", f"leaves {s.threads} threads per block; at least 64")
    if s.threads > 1024:
        raise CapacityError("bm, bn", "block", s.threads, 1024, "threads")
    if s.shared_bytes > SHARED_BYTES:
        raise CapacityError("bm, bn, bk, stages", "shared memory", s.shared_bytes, SHARED_BYTES, "bytes")
