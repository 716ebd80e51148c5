# what: recursion over halves of the rows, while and else
# problem: trainium/rmsnorm-300x64
import nki
import nki.isa as nisa
import nki.language as nl


def halves(x, gain, out, low, high):
    if high - low > 128:
        middle = (low + high) // 2
        halves(x, gain, out, low, middle)
        halves(x, gain, out, middle, high)
        return
    rows, C = high - low, x.shape[1]
    t = nl.load(x[low:high])
    factor = nl.load(gain.broadcast(0, rows))
    squares = nl.ndarray((rows, C), dtype=nl.float32)
    total = nl.ndarray((rows, 1), dtype=nl.float32)
    nisa.activation_reduce(dst=squares, op=nl.square, data=t, reduce_op=nl.add, reduce_res=total)
    nisa.tensor_scalar(dst=total, data=total, op0=nl.multiply, operand0=1.0 / C, op1=nl.add, operand1=1e-5)
    nisa.activation(dst=total, op=nl.rsqrt, data=total)
    nisa.scalar_tensor_tensor(dst=t, data=t, op0=nl.multiply, operand0=total, op1=nl.multiply, operand1=factor)
    nl.store(out[low:high], t)


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    done = False
    while not done:
        halves(x, gain, out, 0, x.shape[0])
        done = True
    else:
        pass
    return out
