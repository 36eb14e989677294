"""L6. Differentiation: gradients of what was computed, derivatives that the user writes, and the search for NaN."""

from danlu.autograd import functional
from danlu.autograd.anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from danlu.autograd.function import Function, FunctionCtx, once_differentiable
from danlu.autograd.gradcheck import gradcheck, gradgradcheck
from danlu.autograd.gradient import backward, grad, inference_mode
from danlu.guidance import unknown
from danlu.teaching import compare
from danlu.tensor import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

__getattr__ = unknown(__name__, globals())

__all__ = [
    "Function",
    "FunctionCtx",
    "backward",
    "compare",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_anomaly_enabled",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
]
