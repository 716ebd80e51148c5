"""Of the stand-in for NKI 2: one instruction that takes anything, and one that its compiler refuses."""


def nc_matmul(dst=None, stationary=None, moving=None):
    if stationary is not None and stationary.shape[1] > 128:
        raise ValueError("nc_matmul: stationary free size exceeds 128")
