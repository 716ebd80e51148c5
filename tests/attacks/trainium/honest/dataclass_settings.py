# what: settings in a frozen dataclass, an enum, type hints
# problem: trainium/rmsnorm-128x64
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, List, Optional

import nki
import nki.isa as nisa
import nki.language as nl


class Engine(IntEnum):
    VECTOR = 0
    SCALAR = 1


@dataclass(frozen=True)
class Settings:
    rows: int = 128
    columns: int = 64
    epsilon: float = 1e-5
    engine: Engine = Engine.SCALAR
    names: Optional[List[str]] = None

    def tile(self, columns: Any = None) -> Any:
        return nl.ndarray((self.rows, columns or self.columns), dtype=nl.float32)


def applied(s: Settings, t: Any, total: Any) -> None:
    if s.engine == Engine.SCALAR:
        nisa.activation(dst=t, op=nl.copy, data=t, scale=total)
    else:
        nisa.tensor_scalar(dst=t, data=t, op0=nl.multiply, operand0=total)


@nki.jit
def solution(x, gain):
    s = Settings()
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t, factor, squares, total = s.tile(), s.tile(), s.tile(), s.tile(1)
    nisa.dma_copy(dst=t, src=x)
    nisa.dma_copy(dst=factor, src=gain.broadcast(0, s.rows))
    nisa.activation_reduce(dst=squares, op=nl.square, data=t, reduce_op=nl.add, reduce_res=total)
    nisa.tensor_scalar(
        dst=total, data=total, op0=nl.multiply, operand0=1.0 / s.columns, op1=nl.add, operand1=s.epsilon
    )
    nisa.activation(dst=total, op=nl.rsqrt, data=total)
    applied(s, t, total)
    nisa.tensor_tensor(dst=t, data1=t, data2=factor, op=nl.multiply)
    nisa.dma_copy(dst=out, src=t)
    return out
