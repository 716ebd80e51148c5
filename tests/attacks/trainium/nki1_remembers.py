# row: 6
# what: NKI 1: counts its calls in an attribute of a function
# problem: trainium/rmsnorm-128x64
# verdict: crashed
# says: cannot be changed
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


@nki.jit
def solution(x, gain):
    nl.load.calls = 1
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    nl.store(out, nl.load(x))
    return out
