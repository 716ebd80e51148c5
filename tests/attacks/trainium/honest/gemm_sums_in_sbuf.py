# what: sums kept in SBUF, affine loops
# problem: trainium/gemm-128x128x256
import nki
import nki.isa as nisa
import nki.language as nl


@nki.jit
def solution(a_t, b):
    out = nl.ndarray((128, 128), dtype=a_t.dtype, buffer=nl.shared_hbm)
    total = nl.zeros((128, 128), dtype=nl.float32)
    for k in nl.sequential_range(2):
        sums = nl.ndarray((128, 128), dtype=nl.float32, buffer=nl.psum)
        nisa.nc_matmul(dst=sums, stationary=nl.load(a_t[nl.ds(k * 128, 128)]), moving=nl.load(b[nl.ds(k * 128, 128)]))
        nisa.tensor_tensor(dst=total, data1=total, data2=sums, op=nl.add)
    for m in nl.affine_range(4):
        nl.store(out[nl.ds(m * 32, 32)], total[nl.ds(m * 32, 32)])
    return out
