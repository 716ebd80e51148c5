# row: 18
# what: NKI 1: an argument whose repr fails stops an instruction midway
# problem: trainium/rmsnorm-128x64
# verdict: crashed
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


class Interrupts:
    def __repr__(self):
        raise ValueError("not to be shown")


@nki.jit
def solution(x, gain):
    out = nl.ndarray((128, 64), dtype=x.dtype, buffer=nl.shared_hbm)
    t = nl.load(x)
    try:
        t[:, 0:64] = nisa.memset((128, 64), 1.0, nl.float32, engine=Interrupts())
    except ValueError:
        pass
    nl.store(out, t)
    return out
