"""L9. Which module of danlu stands behind each module of PyTorch, and what of PyTorch is not here, with the reason or what to write."""

from __future__ import annotations

from danlu.messages import Phrase

# PyTorch's module → danlu's modules whose names it has (the first that has a name wins). A module that is not there yet is left out.
SOURCES: dict[str, tuple[str, ...]] = {
    "torch": ("danlu.interop.toplevel", "danlu"),
    "torch.accelerator": ("danlu.interop.gpu:accelerator",),
    "torch.amp": ("danlu.interop.gpu:amp",),
    "torch.autograd": ("danlu.interop.small:autograd", "danlu.autograd", "danlu.testing"),
    "torch.autograd.function": ("danlu.autograd",),
    "torch.autograd.functional": ("danlu.autograd.functional",),
    "torch.autograd.grad_mode": ("danlu.autograd",),
    "torch.autograd.variable": ("danlu.interop.small:autograd",),
    "torch.backends": (),
    "torch.backends.cuda": ("danlu.interop.gpu:cuda_backend",),
    "torch.backends.cudnn": ("danlu.interop.gpu:cudnn",),
    "torch.backends.mkldnn": ("danlu.interop.gpu:absent",),
    "torch.backends.mps": ("danlu.interop.gpu:absent",),
    "torch.cuda": ("danlu.interop.gpu:cuda",),
    "torch.cuda.amp": ("danlu.interop.gpu:amp",),
    "torch.distributions": ("danlu.distributions",),
    "torch.fft": ("danlu.fft",),
    "torch.func": ("danlu.func",),
    "torch.jit": ("danlu.interop.small:jit",),
    "torch.linalg": ("danlu.linalg",),
    "torch.mps": ("danlu.interop.gpu:mps",),
    "torch.nn": ("danlu.nn", "danlu.interop.small:layers"),
    "torch.nn.functional": ("danlu.nn.functional",),
    "torch.nn.init": ("danlu.nn.init",),
    "torch.nn.modules": ("danlu.nn",),
    "torch.nn.modules.batchnorm": ("danlu.nn", "danlu.nn.normalization"),
    "torch.nn.modules.conv": ("danlu.nn", "danlu.interop.small:bases"),
    "torch.nn.modules.loss": ("danlu.nn", "danlu.interop.small:bases"),
    "torch.nn.modules.module": ("danlu.nn", "danlu.nn.module"),
    "torch.nn.modules.utils": ("danlu.interop.small:sizes_module",),
    "torch.nn.parallel": ("danlu.interop.small:layers",),
    "torch.nn.parameter": ("danlu.nn",),
    "torch.nn.utils": ("danlu.nn.utils",),
    "torch.nn.utils.clip_grad": ("danlu.nn.utils",),
    "torch.nn.utils.parametrizations": ("danlu.nn.utils.parametrizations",),
    "torch.nn.utils.parametrize": ("danlu.nn.utils.parametrize",),
    "torch.nn.utils.fusion": ("danlu.nn.utils",),
    "torch.nn.utils.prune": ("danlu.nn.utils.prune",),
    "torch.nn.utils.rnn": ("danlu.nn.utils.rnn",),
    "torch.optim": ("danlu.optim",),
    "torch.optim.lr_scheduler": ("danlu.optim.lr_scheduler",),
    "torch.optim.swa_utils": ("danlu.optim.swa_utils",),
    "torch.random": ("danlu.interop.small:random_module", "danlu.random"),
    "torch.signal": ("danlu.signal",),
    "torch.signal.windows": ("danlu.signal.windows",),
    "torch.special": ("danlu.special",),
    "torch.testing": ("danlu.interop.small:testing",),
    "torch.types": ("danlu.interop.small:types_module",),
    "torch.utils": ("danlu.utils",),
    "torch.utils.checkpoint": ("danlu.utils.checkpoint",),
    "torch.utils.data": ("danlu.data",),
    "torch.utils.data._utils": (),
    "torch.utils.data._utils.collate": ("danlu.data",),
    "torch.utils.data.dataloader": ("danlu.data",),
    "torch.utils.data.dataset": ("danlu.data",),
    "torch.utils.data.distributed": ("danlu.data",),
    "torch.utils.data.sampler": ("danlu.data",),
    "torch.version": ("danlu.interop.small:version",),
    "torchvision": ("danlu.vision",),
    "torchvision.datasets": ("danlu.vision.datasets",),
    "torchvision.io": ("danlu.vision.io",),
    "torchvision.io.image": ("danlu.vision.io",),
    "torchvision.models": ("danlu.vision.models",),
    "torchvision.models.mobilenetv2": ("danlu.vision.models.mobile",),
    "torchvision.models.mobilenetv3": ("danlu.vision.models.mobile",),
    "torchvision.models.resnet": ("danlu.vision.models.resnet",),
    "torchvision.models.vgg": ("danlu.vision.models.plain",),
    "torchvision.transforms": ("danlu.vision.transforms",),
    "torchvision.transforms.functional": ("danlu.vision.functional",),
    "torchvision.transforms.v2": ("danlu.vision.transforms",),
    "torchvision.utils": ("danlu.vision.utils",),
}
# Files of PyTorch that have no counterpart of their own: `torch.nn.modules.linear` has the names of danlu.nn.
FILES = {
    "torch.nn.modules": (
        "activation adaptive batchnorm container conv distance dropout flatten fold instancenorm linear loss module normalization padding "
        "pixelshuffle pooling rnn sparse transformer upsampling"
    ),
    "torch.optim": "adadelta adagrad adam adamax adamw asgd lbfgs nadam optimizer radam rmsprop rprop sgd sparse_adam",
    "torch.distributions": (
        "bernoulli beta binomial categorical cauchy constraints dirichlet distribution exponential gamma geometric kl laplace log_normal "
        "multinomial multivariate_normal normal poisson uniform"
    ),
}

# Functions that PyTorch has beside the tensor's as well as in torch.nn.functional.
FUNCTIONAL = {
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "alpha_dropout", "avg_pool1d", "batch_norm", "bilinear",
    "binary_cross_entropy_with_logits", "celu", "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss", "cosine_similarity", "ctc_loss", "dropout", "embedding",
    "embedding_bag", "feature_alpha_dropout", "group_norm", "hardshrink", "hinge_embedding_loss", "instance_norm", "kl_div",
    "layer_norm", "margin_ranking_loss", "max_pool1d", "max_pool2d", "max_pool3d", "pairwise_distance", "pdist", "pixel_shuffle",
    "pixel_unshuffle", "poisson_nll_loss", "prelu", "rms_norm", "rrelu", "selu", "threshold", "triplet_margin_loss",
}  # fmt: skip

# What is not here → why, or what to write; the longest beginning that fits is said.
PLANS: dict[str, Phrase] = {
    "torch.compile": Phrase("not needed: every step is compiled"),
    "torch.cuda": Phrase("not planned: danlu runs on the CPU"),
    "torch.distributed": Phrase("not planned: danlu runs in one process, on all its cores"),
    "torch.jit": Phrase("not needed: every step is compiled; call the module itself"),
    "torch.jit.load": Phrase("not planned: programs of TorchScript; save the state dict with PyTorch and load that"),
    "torch.jit.save": Phrase("there is no program to save: torch.save(model.state_dict(), path)"),
    "torch.fx": Phrase("not planned: the graph of danlu is danlu.explain's to show"),
    "torch.onnx": Phrase("planned: files for other programs"),
    "torch.quantization": Phrase("not planned"),
    "torch.ao": Phrase("not planned"),
    "torch.multiprocessing": Phrase("not planned: write `import multiprocessing`"),
    "torch.hub": Phrase("not planned: danlu downloads no code; load the file with torch.load"),
    "torch.sparse": Phrase("not planned: sparse tensors; write a dense one, or an index and torch.gather"),
    "torch.utils.model_zoo": Phrase("not planned: danlu downloads no weights; load a file with torch.load"),
    "torch.utils.tensorboard": Phrase("not planned: danlu.train keeps curves in plain files, and matplotlib draws them"),
    "torch.profiler": Phrase("not planned: write `danlu.profile(step)`"),
    "torchvision.models": Phrase(
        "there are ResNet, VGG, AlexNet and MobileNet; no weights are downloaded: write resnet18(weights=None), or the path of a state dict"
    ),
    "torchvision.ops": Phrase("not planned"),
    "torchaudio": Phrase("not planned"),
    "torchtext": Phrase("not planned; its authors have ended it"),
}


def plan(name: str) -> Phrase | None:
    """What is to be said of a dotted name of PyTorch's that is not here.

    >>> str(plan("torch.cuda.Stream"))
    'not planned: danlu runs on the CPU'
    """
    fitting = [
        known
        for known in PLANS
        if name == known or name.startswith((known + ".", known + "Cell", known + "Encoder", known + "Decoder"))
    ]
    return PLANS[max(fitting, key=len)] if fitting else None


def sources(name: str) -> tuple[str, ...] | None:
    """The modules of danlu behind a module of PyTorch's; None where there is none."""
    folder, _, file = name.rpartition(".")
    if name not in SOURCES and file in FILES.get(folder, "").split():
        name = folder
    return SOURCES.get(name)
