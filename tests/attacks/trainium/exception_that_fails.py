# row: 2
# what: raises an exception that cannot be shown
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import nki
import nki.isa as nisa
import nki.language as nl


class Unspeakable(Exception):
    def __str__(self):
        raise Unspeakable()


@nki.jit
def solution(x, gain):
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    raise Unspeakable()
