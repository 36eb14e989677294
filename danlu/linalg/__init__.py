"""L6. danlu.linalg: linear algebra under PyTorch's names. The work is LAPACK's (through NumPy); every function has derivatives in both directions
unless its text says otherwise. Functions work on the last two axes; leading axes are a batch."""

from danlu.guidance import unknown
from danlu.linalg.equations import LeastSquares, inv, lstsq, solve, solve_triangular, tensorinv, tensorsolve
from danlu.linalg.factorisations import (
    SVD,
    Eig,
    Eigh,
    cholesky,
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    svd,
    svdvals,
)
from danlu.linalg.norms import cond, matrix_norm, norm, vector_norm
from danlu.linalg.products import cross, diagonal, householder_product, matmul, matrix_exp, matrix_power, vander, vecdot
from danlu.ops.linear_algebra import LinAlgError
from danlu.tensor.factor import cholesky_ex, inv_ex, lu, lu_factor, lu_factor_ex, lu_solve, solve_ex
from danlu.tensor.products import multi_dot

__getattr__ = unknown(__name__, globals())

__all__ = [
    "SVD",
    "Eig",
    "Eigh",
    "LeastSquares",
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]  # fmt: skip
