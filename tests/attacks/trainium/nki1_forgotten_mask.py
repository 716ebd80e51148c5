# row: 12
# what: NKI 1: a mask that leaves the last rows out
# problem: trainium/rmsnorm-128x64
# verdict: wrong_result
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    i = nl.arange(128)[:, None]
    j = nl.arange(64)[None, :]
    t = nl.load(x[i, j])
    g = nl.load(gain.reshape((1, 64)))
    mean = nl.mean(nl.square(t), axis=[1], keepdims=True)
    y = t * nl.rsqrt(mean + 1e-5) * g.broadcast_to((128, 64))
    nl.store(out[i, j], y, mask=(i < 127))
    return out
