# row: 10
# what: NKI 1: stores a copy
# problem: trainium/rmsnorm-128x64
# verdict: wrong_result
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x))
    return out
