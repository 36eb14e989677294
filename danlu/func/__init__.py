"""L6. Functions of functions: grad, vjp, jvp, jacobians, hessians, vmap; they nest in any order.

A transform calls the function once, on tensors with a value of their own, and then works on what was recorded: the derivative of the
recording, or the recording for a whole batch (danlu/batching.py). So `vmap(grad(f))` and `jacfwd(jacrev(f))` are one program each.
"""

from danlu.func.derivatives import grad, grad_and_value, hessian, hvp, jacfwd, jacrev, jvp, linearize, vjp
from danlu.func.mapping import vmap
from danlu.func.stateless import functional_call

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "hvp", "jacfwd", "jacrev", "jvp", "linearize", "vjp", "vmap"]
