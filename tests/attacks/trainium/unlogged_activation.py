# row: 18
# what: an argument whose repr fails interrupts instructions between their effect and their entry in the log
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import nki
import nki.isa as nisa
import nki.language as nl


class Interrupts:
    def __repr__(self):
        raise ValueError("not to be shown")


def free(**arguments):
    try:
        nisa.activation(reduce_cmd=Interrupts(), **arguments)
    except ValueError:
        pass


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    squares = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    total = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.sbuf)
    mean = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.sbuf)
    root = nl.ndarray((128, 1), dtype=nl.float32, buffer=nl.sbuf)
    factor = nl.ndarray((128, 64), dtype=nl.float32, buffer=nl.sbuf)
    nisa.dma_copy(dst=t, src=x)
    nisa.dma_copy(dst=factor, src=gain.broadcast(0, 128))
    free(op=nl.square, data=t, dst=squares)
    nisa.tensor_reduce(dst=total, op=nl.add, data=squares, axis=1)
    free(op=nl.copy, data=total, dst=mean, scale=1.0 / 64)
    nisa.tensor_scalar(dst=mean, data=mean, op0=nl.add, operand0=1e-5)
    free(op=nl.rsqrt, data=mean, dst=root)
    free(op=nl.copy, data=t, dst=t, scale=root)
    nisa.tensor_tensor(dst=t, data1=t, data2=factor, op=nl.multiply)
    nisa.dma_copy(dst=out, src=t)
    return out
