# what: NKI 1: products accumulated in PSUM
# problem: trainium/gemm-128x512x256
import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl


@nki.jit
def solution(a_t, b):
    K, M = a_t.shape
    _, N = b.shape
    out = nl.ndarray((M, N), dtype=a_t.dtype, buffer=nl.shared_hbm)
    sums = nl.zeros((nl.par_dim(M), N), nl.float32, buffer=nl.psum)
    for k in nl.affine_range(K // 128):
        sums += nisa.nc_matmul(nl.load(a_t[nl.ds(k * 128, 128), :]), nl.load(b[nl.ds(k * 128, 128), :]))
    nl.store(out, value=nl.copy(sums))
    return out
