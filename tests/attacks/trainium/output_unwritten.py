# row: 7
# what: returns an output that nobody wrote
# problem: trainium/rmsnorm-128x64
# verdict: wrong_result
# says: never written
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    return out
