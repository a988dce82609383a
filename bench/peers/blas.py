# OpenBLAS and LAPACK called directly (scipy.linalg.blas / lapack, Fortran order, preallocated), one command a line.
# stdin:  {"setup": "gemm", "dtype": "float64", "sizes": [m, n, k], "inputs": ["a.bin", "b.bin"]}  ->  {"ok": true}
#         {"run": repetitions}                                                        ->  {"seconds": total}
#         {"result": "file"}  writes the last result as float64, row-major            ->  {"ok": true}
import json
import sys
import time

import numpy
import scipy
from scipy.linalg import blas, lapack


def load(path, dtype, shape):
    return numpy.asfortranarray(numpy.fromfile(path, dtype=dtype).reshape(shape))


def setup(command):
    """A function of no arguments that does the work once and returns its result."""
    dtype = numpy.dtype(command["dtype"])
    letter = "s" if dtype == numpy.float32 else "d"
    sizes = command["sizes"]
    inputs = command["inputs"]
    kind = command["setup"]
    if kind == "gemm":
        m, n, k = sizes
        a, b = load(inputs[0], dtype, (m, k)), load(inputs[1], dtype, (k, n))
        c = numpy.zeros((m, n), dtype, order="F")
        gemm = getattr(blas, letter + "gemm")
        return lambda: gemm(1.0, a, b, beta=0.0, c=c, overwrite_c=1)
    if kind == "syrk":
        n, k = sizes
        a = load(inputs[0], dtype, (n, k))
        c = numpy.zeros((n, n), dtype, order="F")
        syrk = getattr(blas, letter + "syrk")
        return lambda: syrk(1.0, a, beta=0.0, c=c, lower=1, overwrite_c=1)
    if kind == "trsm":
        n, columns = sizes
        a, b = load(inputs[0], dtype, (n, n)), load(inputs[1], dtype, (n, columns))
        x = b.copy(order="F")
        trsm = getattr(blas, letter + "trsm")

        def solve():
            numpy.copyto(x, b)
            return trsm(1.0, a, x, lower=1, overwrite_b=1)

        return solve
    if kind == "cholesky":
        (n,) = sizes
        a = load(inputs[0], dtype, (n, n))
        x = a.copy(order="F")
        potrf = getattr(lapack, letter + "potrf")

        def factor():
            numpy.copyto(x, a)
            return potrf(x, lower=1, clean=0, overwrite_a=1)[0]

        return factor
    if kind == "eigh":
        (n,) = sizes
        a = load(inputs[0], dtype, (n, n))
        x = a.copy(order="F")
        syevd = getattr(lapack, letter + "syevd")

        def decompose():
            numpy.copyto(x, a)
            return syevd(x, lower=1, overwrite_a=1)[0]

        return decompose
    raise ValueError(kind)


work = None
last = None
print(json.dumps({"ready": f"OpenBLAS through scipy {scipy.__version__}"}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    answer = {"ok": True}
    if "setup" in command:
        work = setup(command)
    elif "run" in command:
        start = time.perf_counter()
        for _ in range(command["run"]):
            last = work()
        answer = {"seconds": time.perf_counter() - start}
    elif "result" in command:
        numpy.ascontiguousarray(last, dtype=numpy.float64).tofile(command["result"])
    print(json.dumps(answer), flush=True)
