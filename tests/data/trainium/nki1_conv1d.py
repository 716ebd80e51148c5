import neuronxcc.nki as nki
import neuronxcc.nki.isa as nisa
import neuronxcc.nki.language as nl
import numpy as np


@nki.jit
def solution(x, weights):
    images, channels, width = x.shape
    taps = weights.shape[1]
    length = width - taps + 1
    out = nl.ndarray((images, channels, length), dtype=x.dtype, buffer=nl.shared_hbm)
    for first in nl.affine_range((channels + 127) // 128):
        i_p, i_k, i_w = nl.mgrid[0:128, 0:length, 0:taps]
        i_row, i_tap = nl.mgrid[0:128, 0:taps]
        inside = first * 128 + i_row < channels
        factors = nl.load(weights[first * 128 + i_row, i_tap], mask=inside)
        for image in nl.affine_range(images):
            i_x = nl.arange(width)[None, :]
            i_c = nl.arange(128)[:, None]
            row = nl.load(x[image, first * 128 + i_c, i_x], mask=first * 128 + i_c < channels)
            windows = nl.multiply(
                row[i_p, i_k + i_w], factors.reshape((128, 1, taps)), mask=first * 128 + i_p < channels
            )
            sums = nisa.tensor_reduce(np.add, windows[i_p, i_k, i_w], axis=[2], mask=first * 128 + i_p < channels)
            i_o = nl.arange(length)[None, :]
            nl.store(out[image, first * 128 + i_c, i_o], value=sums, mask=first * 128 + i_c < channels)
    return out
