# what: a class of its own whose instances count and hold tiles
# problem: trainium/rmsnorm-128x64
import nki
import nki.isa as nisa
import nki.language as nl


class Pool(nl.NKIObject):
    shared = 0

    def __init__(self, count):
        self.tiles = [nl.ndarray((128, 64), dtype=nl.float32) for _ in range(count)]
        self._own_place = 0

    def take(self):
        self._own_place += 1
        Pool.shared = self._own_place
        return self.tiles[self._own_place - 1]


@nki.jit
def solution(x, gain):
    pool = Pool(3)
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t, factor, squares = pool.take(), pool.take(), pool.take()
    rows, C = x.shape
    nisa.dma_copy(dst=t, src=x)
    nisa.dma_copy(dst=factor, src=gain.broadcast(0, 128))
    total = nl.ndarray((rows, 1), dtype=nl.float32)
    nisa.activation_reduce(dst=squares, op=nl.square, data=t, reduce_op=nl.add, reduce_res=total)
    nisa.tensor_scalar(dst=total, data=total, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, operand1=1e-5)
    nisa.activation(dst=total, op=nl.rsqrt, data=total)
    nisa.scalar_tensor_tensor(dst=t, data=t, op0=nl.multiply, operand0=total, op1=nl.multiply, operand1=factor)
    nisa.dma_copy(dst=out, src=t)
    return out
