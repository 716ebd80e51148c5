# row: 10
# what: returns the input itself
# problem: trainium/rmsnorm-128x64
# verdict: crashed
# says: returns its input
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(x, gain):
    return x
