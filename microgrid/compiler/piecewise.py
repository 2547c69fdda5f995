"""A logarithm and the error function by a polynomial on each of 16 intervals, in lanes of AVX-512.

Its coefficients are looked up by a permutation of two registers. After P. T. P. Tang, "Table-Driven Implementation of
the Logarithm Function in IEEE Floating-Point Arithmetic", ACM TOMS 16 (1990), with the points of S. Gal, "Computing
Elementary Functions: A New Approach for Achieving High Accuracy and Good Performance", LNCS 235 (1986): near the middle
of each interval, where the function is a double but for 2^-10 of a unit in the last place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from microgrid.compiler.lanes import AVX512, Number, Writer, hexadecimal, numbers

SHIFT = 6755399441055744.0
"""1.5 * 2**52: added to a number, it leaves the nearest whole one in the last bits, here an index."""

_EIGHT = f"<{AVX512} x double>"


def can(w: Writer) -> bool:
    """Return True if this machine has the instructions."""
    return w.mode.width == AVX512 and w.mode.lanes % AVX512 == 0


def erf(w: Writer, x: Number) -> Number:
    """Return erf(x): near the points c of a table, a polynomial in |x| - c."""
    distance = abs(x)
    distance = w.choose(w.test("ogt", distance, _ONE_FROM), _ONE_FROM, distance)
    index = w.fused(distance, 1.0 / _STEP, SHIFT)
    r = distance - looked_up(w, index, "erf.points", _POINTS)
    *others, total = [looked_up(w, index, f"erf.{k}", row) for k, row in enumerate(_ERF)]
    for coefficient in reversed(others):
        total = w.fused(total, r, coefficient)
    return w.intrinsic("copysign", total, x).within(-1.0, 1.0)


def log(w: Writer, x: Number) -> Number:
    """Return log(x): x = 2^k m, m from 3/4 to 3/2, and m = (1 + r) / c for a c of a table, whose logarithm is known.

    The exponent of 0 is -inf, and that of inf inf; the significand of a negative number is nan.
    """
    m = w.avx512("getmant", x, 15)  # nan for negative numbers, and 1 for 0, -0 and inf
    k = w.avx512("getexp", x) - w.avx512("getexp", m)
    index = w.fused(m, _PER_ONE, SHIFT)
    r = w.fused(m, looked_up(w, index, "log.inverses", _INVERSES), -1.0)
    near = w.fused(k, math.log(2.0), looked_up(w, index, "log.points", _LOGARITHMS))
    square = r * r
    even, odd = w.fused(square, _LOG[6], _LOG[4]), w.fused(square, _LOG[7], _LOG[5])
    for j in (2, 0):
        even, odd = w.fused(even, square, _LOG[j]), w.fused(odd, square, _LOG[j + 1])
    small = w.fused(w.fused(odd, r, even), square, k * _LOG2_LOW)
    return near + (r + small)


def looked_up(w: Writer, index: Number, name: str, table: Sequence[float]) -> Number:
    """Return the number of a table for each lane, by the last four bits of an index."""
    permutation = "@llvm.x86.avx512.vpermi2var.pd.512"
    w.intrinsics.add(f"declare {_EIGHT} {permutation}({_EIGHT}, <{AVX512} x i64>, {_EIGHT})")
    halves = [", ".join(f"double {hexadecimal(x)}" for x in table[i : i + AVX512]) for i in (0, AVX512)]
    both = ", ".join(f"{_EIGHT} <{half}>" for half in halves)
    w.intrinsics.add(f"@{name} = private constant [2 x {_EIGHT}] [{both}]")
    second = w.line(f"getelementptr {_EIGHT}, ptr @{name}, i64 1").text
    low, high = [w.line(f"load {_EIGHT}, ptr {at}, !invariant.load !0").text for at in (f"@{name}", second)]

    def permuted(start: int) -> str:
        bits = w.line(f"bitcast {_EIGHT} {w.part(index.text, start, AVX512)} to <{AVX512} x i64>").text
        return w.line(f"call {_EIGHT} {permutation}({_EIGHT} {low}, <{AVX512} x i64> {bits}, {_EIGHT} {high})").text

    return w.by_eights(permuted)


_PER_ONE = 21.0
"""Number of intervals of a significand per 1: there are those around 16/21 to 31/21."""

_INVERSES = numbers(
    "0x1.4d6bb20000000p+0 0x1.3c37e60000000p+0 0x1.2aaf580000000p+0 0x1.1aecb30000000p+0 0x1.0cc6600000000p+0 "
    "0x1.0000000000000p+0 0x1.e8b7e40000000p-1 0x1.d3834c0000000p-1 0x1.c0032a0000000p-1 0x1.ae14400000000p-1 "
    "0x1.9d8d2a0000000p-1 0x1.8e44e40000000p-1 0x1.7ff86e0000000p-1 0x1.72c96c0000000p-1 0x1.665f600000000p-1 "
    "0x1.5add1c0000000p-1"
)
"""Inverse of a point of each interval, the last four bits of whose number are 0 to 15."""

_LOGARITHMS = numbers(
    "-0x1.0e91abc9c926bp-2 -0x1.b0a6bc2b7fc9dp-3 -0x1.3bd36c0cf92f3p-3 -0x1.999cc14cec4fep-4 -0x1.8eec925b19a8dp-5 0 "
    "0x1.7d3df2ede2084p-5 0x1.74512d681149fp-4 0x1.116a715423f41p-3 0x1.65147bdf77cc3p-3 0x1.b555e8176454ep-3 "
    "0x1.0139b5aead713p-2 0x1.26aa51463f849p-2 0x1.4a712e8b7492fp-2 0x1.6d5044c994c73p-2 0x1.8ebcf5498e6c9p-2"
)
"""Logarithms of the points."""

_LOG2_LOW = 2.3190468138462996e-17
"""log(2) less the double next to it."""

_LOG = numbers(
    "-0x1.fffffffffffddp-2 0x1.555555555549bp-2 -0x1.00000000845b8p-2 0x1.9999999cb0531p-3 -0x1.5555446e38783p-3 "
    "0x1.249228298c3a7p-3 -0x1.0066030e15428p-3 0x1.c82d61e019e13p-4"
)
"""Coefficients of (log1p(r) - r) / r^2 for |r| <= 0.02947, by Remez's algorithm: they leave 2^-57 of log1p(r)."""

_STEP = 25.0 / 64.0
"""Width of the intervals of the error function; the first is around 0."""

_ONE_FROM = 6.0
"""Number from which on the error function is 1, rounded."""

_POINTS = numbers(
    "0 0x1.918b000000000p-2 0x1.8fd8000000000p-1 0x1.2b78400000000p+0 0x1.908b000000000p+0 0x1.f3dd800000000p+0 "
    "0x1.2bbd400000000p+1 0x1.5dd7600000000p+1 0x1.9022400000000p+1 0x1.c242c00000000p+1 0x1.f42f400000000p+1 "
    "0x1.132a800000000p+2 0x1.2c19200000000p+2 0x1.452af00000000p+2 0x1.5deea00000000p+2 0x1.772bc00000000p+2"
)
"""A point of each interval, of few bits so that |x| - c has no error."""

_ERF = [
    numbers(row)
    for row in (
        (
            "0 0x1.aee6ff1c2935cp-2 0x1.760feb78edab8p-1 0x1.cdcb9b2747addp-1 0x1.f237d585ce133p-1 "
            "0x1.fd0d9b427a320p-1 0x1.ff8672af75faap-1 0x1.fff17414cfb3bp-1 0x1.fffeb62f3bac4p-1 "
            "0x1.ffffea1351b5dp-1 0x1.fffffee71466fp-1 0x1.fffffff5b334cp-1 0x1.ffffffffb6d39p-1 "
            "0x1.fffffffffe866p-1 0x1.fffffffffffa1p-1 0x1.fffffffffffffp-1"
        ),
        (
            "0x1.20dd750429b6dp+0 0x1.ef631a0c187acp-1 0x1.39f3105beedb1p-1 0x1.261198aba6684p-2 "
            "0x1.8f9e43170138fp-4 0x1.9861a489245d0p-6 0x1.3334a93702f31p-8 0x1.5128596785858p-11 "
            "0x1.0dd944b364791p-14 0x1.401bfe2536be8p-18 0x1.1ae9dbd565a6ep-22 0x1.6b6601a6e01d3p-27 "
            "0x1.5e988b84e8f55p-32 0x1.e89d8bc291a9bp-38 0x1.07ec73b871f99p-43 0x1.8382c47e2cdd0p-50"
        ),
        (
            "0x1.0e3f4805a3d95p-54 -0x1.84839b4e0b799p-2 -0x1.ea5abb9516dd2p-2 -0x1.5800af1471ff7p-2 "
            "-0x1.38a021e12fb10p-3 -0x1.8eb3d61997421p-5 -0x1.67b19c515866bp-7 -0x1.ccbfa934589aep-10 "
            "-0x1.a5c795a9bddbcp-13 -0x1.19825604f7d42p-16 -0x1.14627c834fd8fp-20 -0x1.869ae83579a87p-25 "
            "-0x1.9afd2c384a6a1p-30 -0x1.3650fb2bd2e00p-35 -0x1.68c35c8f2cc05p-41 -0x1.1bf363aa1d150p-47"
        ),
        (
            "-0x1.812746b037ae9p-2 -0x1.c9626f7c9cb48p-3 0x1.6ff2bb34ac23bp-5 0x1.54821df7126ebp-3 "
            "0x1.037d9768555c8p-3 0x1.c2f0bbdce09d2p-5 0x1.fe5505f698c2bp-7 0x1.87aa957efaa7cp-9 "
            "0x1.a1036a2454832p-12 0x1.3cbf2c094562fp-15 0x1.5c38806b1d349p-19 0x1.10540ac11aefbp-23 "
            "0x1.39e2d6770ea05p-28 0x1.01aeee33c1ca6p-33 0x1.434226bb7f0cap-39 0x1.1162aea0aabdap-45"
        ),
        (
            "0x1.828a62b8e86c3p-40 0x1.5cafd8abfebb7p-3 0x1.22fc0b4f73836p-3 0x1.e2bd47e965b2fp-7 "
            "-0x1.8b2cc106ee379p-5 -0x1.335a1809dc9f3p-5 -0x1.dda0b38bd6b84p-7 -0x1.ca7274be2a2d8p-9 "
            "-0x1.22c099236dbacp-11 -0x1.fe2f93ea74d97p-15 -0x1.3d271b1420b7ep-18 -0x1.1471092c26056p-22 "
            "-0x1.5ed4bfe5817e0p-27 -0x1.3a604278006e6p-32 -0x1.aad65b8f65e7dp-38 -0x1.84d179c59e045p-44"
        ),
        (
            "0x1.ce2f219b96bc0p-4 0x1.4a1769ddd1ef9p-5 -0x1.d9f919f10b259p-5 -0x1.d114b93dc6a28p-5 "
            "-0x1.0046d8871b004p-7 0x1.a31663eafe21bp-7 0x1.264985352a2e7p-7 0x1.7fb302788a425p-9 "
            "0x1.2d028e22e6605p-11 0x1.376b96ad6a24bp-14 0x1.bb8041ce1d190p-18 0x1.b2924c2bb0242p-22 "
            "0x1.31785dd5d1347p-26 0x1.2c205eee76f63p-31 0x1.ba8485853f017p-37 0x1.b3593421eb8c6p-43"
        ),
        (
            "0x1.1105eb19f37e9p-29 -0x1.9f14430183746p-5 -0x1.7600a402c4eaep-6 0x1.2a5645b5037dbp-6 "
            "0x1.1596d7ef394c5p-6 0x1.b893dcc8433c3p-10 -0x1.9960ea4a0e894p-9 -0x1.c6a12834ca43ep-10 "
            "-0x1.d83ef77142c1fp-12 -0x1.2921dee276236p-14 -0x1.ed1d475dafbbfp-18 -0x1.128ba91d1b6ffp-21 "
            "-0x1.aead0217315fbp-26 -0x1.d25f26f4c9b06p-31 -0x1.76cd86768cf01p-36 -0x1.8f6a9f34bfad3p-42"
        ),
        (
            "-0x1.b82d0a9adb7cbp-6 -0x1.00b5c470180e3p-8 0x1.3526c22becbb1p-6 0x1.e70447a7ac130p-8 "
            "-0x1.7654d1f3964efp-8 -0x1.050378c740731p-8 -0x1.97f4903c11883p-15 0x1.589bdff8e1ac6p-11 "
            "0x1.16737935fd14cp-12 0x1.c0f7bf61dd157p-15 0x1.bcf564623670dp-18 0x1.1d8608992c303p-21 "
            "0x1.f8432aa03fbc3p-26 0x1.2ec863e7fff10p-30 0x1.0a6f47a110aeep-35 0x1.349c1da7247edp-41"
        ),
        (
            "0x1.e2becb2fa1470p-22 0x1.705d8276a728bp-7 0x1.3c935f3ffc531p-10 -0x1.8e2539870dee3p-8 "
            "-0x1.6e0c79d76d9adp-10 0x1.9f3eb5d69e6c4p-10 0x1.6dd2bb4da5c35p-11 -0x1.44fe998893c12p-14 "
            "-0x1.d1ab2b94a5858p-14 -0x1.0b7c951b219a2p-15 -0x1.4905cc07a61fdp-18 -0x1.f0235dfc4e726p-22 "
            "-0x1.f2d6b1785e2b3p-26 -0x1.4ea0c4fba8531p-30 -0x1.44063625e1cd5p-35 -0x1.9980d09b73b0ap-41"
        ),
        (
            "0x1.561e44e4447cep-8 -0x1.c88e156c35323p-13 -0x1.fc5256da5a6a3p-9 0x1.190720f4daae4p-13 "
            "0x1.a268f9ed35b57p-10 0x1.6dc1850ae1d72p-14 -0x1.72d4f46bc8700p-12 -0x1.52bd6f034ffd8p-14 "
            "0x1.abb43989f44c2p-16 0x1.e73d438fc7b90p-17 0x1.8e639fba4244ap-19 0x1.6ae53ae3f27a6p-22 "
            "0x1.a5731b11de053p-26 0x1.3e821ea059052p-30 0x1.5526578e41594p-35 0x1.d7c6e36909340p-41"
        ),
        (
            "0x1.4c4fa1c47c702p-16 -0x1.03b5b218e7d63p-9 0x1.99c9e0c51d560p-12 0x1.12d8a76a368e4p-10 "
            "-0x1.074e405991155p-12 -0x1.4af64b2adf1bap-12 0x1.5c9a8b632d544p-15 0x1.e5d2f2f679bfbp-15 "
            "0x1.fe378bbec0793p-19 -0x1.312cb66a1eb21p-18 -0x1.84c6c0dbd0295p-20 -0x1.bfb170e5e881cp-23 "
            "-0x1.3292bd1a580f9p-26 -0x1.080cd3563183dp-30 -0x1.3bddb0680c2e4p-35 -0x1.dfbdfe6bef5dbp-41"
        ),
        (
            "-0x1.e3e4022000bd1p-11 0x1.6845e5e9840eep-13 0x1.2b682d2729c58p-11 -0x1.f3cef3252376ap-13 "
            "-0x1.8c5bf1775a89bp-13 0x1.90964eabb77bfp-14 0x1.53305eff74e56p-15 -0x1.fe3f370ac2332p-17 "
            "-0x1.ac45c4636c841p-18 0x1.0ad64fb617b66p-21 0x1.23dcdbfd3e359p-21 0x1.d68b6765f5dcdp-24 "
            "0x1.8d1af2a4e9450p-27 0x1.91b773f0e6f81p-31 0x1.11d80b71ed5c4p-35 0x1.d5276cdfb0bb4p-41"
        ),
        (
            "0x1.1c7f2c38b54a0p-13 0x1.2c2a236ccbdf3p-12 -0x1.11389a4828a67p-13 -0x1.ca0e1b2c6044fp-14 "
            "0x1.66c6119e0ef05p-14 0x1.119fa4b99ca7ap-16 -0x1.6a9af36d1e563p-16 -0x1.da2af9823d574p-20 "
            "0x1.6acebbfee7007p-19 0x1.aabc383de1596p-22 -0x1.1beeb674088d0p-23 -0x1.8fc71aaa6e37cp-25 "
            "-0x1.ae7edb929ae52p-28 -0x1.040ea9dbfa8ccp-31 -0x1.882f1eb40585ep-36 -0x1.83cf2e6e2826ep-41"
        ),
    )
]
"""Coefficients of erf(c + r) in powers of r, a row of those of all intervals for each, by Remez's algorithm: they leave
2^-55.9 of erf(x)."""
