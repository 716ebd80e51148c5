import neuronxcc.nki as nki
import neuronxcc.nki.language as nl
import neuronxcc.nki.typing as nt


@nki.jit
def layernorm(x: nt.tensor, gain: nt.tensor, shift: nt.tensor) -> nt.tensor:
    rows, columns = x.shape
    out = nl.ndarray(x.shape, dtype=x.dtype, buffer=nl.shared_hbm)
    i_one, i_f = nl.arange(1)[:, None], nl.arange(columns)[None, :]
    gains, shifts = nl.load(gain[i_one, i_f]), nl.load(shift[i_one, i_f])
    for first in nl.static_range(0, rows, nl.tile_size.pmax):
        i_p = first + nl.arange(nl.tile_size.pmax)[:, None]
        data = nl.load(x[i_p, i_f], mask=i_p < rows)
        mean = nl.mean(data, axis=1)
        variance = nl.mean(nl.square(data), axis=[1]) - mean * mean
        normal = (data - mean) * nl.rsqrt(variance + 1e-5)
        scaled = nl.add(nl.multiply(normal, gains), shifts)
        nl.store(out[i_p, i_f], value=scaled, mask=i_p < rows)
    return out
