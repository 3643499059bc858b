"""A logarithm that LLVM can turn into vector code."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["fast_log"]


@njit(inline="always", cache=True)
def fast_log(x):
    """Natural logarithm of a positive normal float64, without a call (fdlibm's e_log.c series)."""
    bits = np.float64(x).view(np.int64)
    shifted = bits + np.int64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
    k = (shifted >> 52) - 1023
    mantissa = (shifted & np.int64(0x000FFFFFFFFFFFFF)) + np.int64(0x3FE6A09E667F3BCD)
    f = np.int64(mantissa).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = z * (
        6.666666666666735130e-01
        + z
        * (
            3.999999999940941908e-01
            + z
            * (
                2.857142874366239149e-01
                + z
                * (
                    2.222219843214978396e-01
                    + z
                    * (
                        1.818357216161805012e-01
                        + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01)
                    )
                )
            )
        )
    )
    half = 0.5 * f * f
    return k * 6.93147180559945286227e-01 - (half - s * (half + r) - f)
