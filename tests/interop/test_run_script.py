"""`danlu run script.py`: a PyTorch script runs unchanged, as Python itself would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


TRAINING = """
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    from torch import optim
    from torch.optim.lr_scheduler import StepLR
    from torch.utils.data import DataLoader, TensorDataset

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    loader = DataLoader(TensorDataset(x, (x.sum(1) > 0).long()), batch_size=16, shuffle=True, pin_memory=True)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(4, 16), nn.Linear(16, 2)
        def forward(self, x):
            return self.out(F.relu(self.hidden(x)))

    model = Net().to(device)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    schedule = StepLR(optimizer, 10, 0.5)
    for epoch in range(20):
        for a, b in loader:
            a, b = a.to(device, non_blocking=True), b.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(a), b)
            loss.backward()
            optimizer.step()
        schedule.step()
    torch.save(model.state_dict(), "model.pt")
    twin = Net()
    print(twin.load_state_dict(torch.load("model.pt", map_location=device, weights_only=True)).missing_keys)
    with torch.no_grad():
        print(torch.equal(model(x), twin(x)), (twin(x).argmax(1) == (x.sum(1) > 0)).float().mean().item() > 0.9)
"""


def test_a_training_script(run):
    done = run(TRAINING)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\nTrue True\n", "")


def test_arguments_name_path_and_neighbours(run, tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "neighbour.py").write_text("import torch\nvalue = torch.ones(2).sum().item()\n")
    code = "import sys, neighbour\nprint(sys.argv[1:], __name__, sys.path[0], __file__, neighbour.value)"
    done = run(code, "--lr", "0.1", "-m", "--debug", name="inner/script.py")
    where = str(tmp_path / "inner")
    assert done.stderr == "" and done.stdout == f"{['--lr', '0.1', '-m', '--debug']} __main__ {where} {where}/script.py 2.0\n"


def test_python_m_danlu_run(run):
    assert run("import torch; print(torch.ones(2).shape)", command=("-m", "danlu.run")).stdout == "torch.Size([2])\n"


def test_a_module(run, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "part.py").write_text("import torch\nzero = torch.zeros(1)\n")
    (tmp_path / "package" / "__main__.py").write_text(
        "from .part import zero\nimport sys\nprint(zero, sys.argv[1:], __package__)\n"
    )
    command = ("-m", "danlu.cli", "run", "-m", "package")
    assert (
        run("", "--x", command=command, name="other.py").stdout == f"tensor([0.]) {[str(tmp_path / 'other.py'), '--x']} package\n"
    )
    gone = run("", command=("-m", "danlu.cli", "run", "-m", "packag"))
    assert gone.returncode == 2 and gone.stderr == "danlu: there is no module 'packag' that could be run\n"


def test_exit_codes(run):
    assert run("raise SystemExit(7)").returncode == 7
    assert run("import sys; sys.exit()").returncode == 0
    quiet = run("import sys; sys.exit('a reason')")
    assert (quiet.returncode, quiet.stderr) == (1, "a reason\n")


def test_a_traceback_begins_in_the_script(run):
    done = run("import torch\n\n\ndef half(x):\n    return torch.ones(2, 3) @ x\n\n\nhalf(torch.ones(2))\n")
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('script.py", line 8, in <module>') and lines[2] == "    half(torch.ones(2))"
    assert "(2, 3)" in lines[-1] and "danlu/interop" not in done.stderr
    wrong = run("import torch\nx = = 1\n")
    assert wrong.returncode == 1 and "Traceback" not in wrong.stderr and 'script.py", line 2' in wrong.stderr


def test_a_script_that_is_not_there(run):
    done = run("", command=("-m", "danlu.cli", "run", "nowhere.py"))
    assert done.returncode == 2 and done.stderr.startswith("danlu: cannot read nowhere.py: there is no such file in ")


def test_names_that_are_missing(run):
    done = run(
        """
        import torch
        for statement in ("torch.reluu", "torch.cuda.Steam", "from torch.nn import Linera", "import torch.onnx", "torch.hub.load",
                          "import torch.nn.utilities"):
            try:
                exec(statement)
            except (AttributeError, ImportError) as error:
                print(error)
        print(hasattr(torch, "xpu"))
        """
    )
    assert done.stdout.splitlines() == [
        "torch.reluu is not in danlu; did you mean 'relu'?",
        "torch.cuda.Steam is not in danlu (not planned: danlu runs on the CPU); did you mean 'stream'?",
        "torch.nn.Linera is not in danlu; did you mean 'Linear'?",
        "torch.onnx is not in danlu (planned: files for other programs)",
        "torch.hub is not in danlu (not planned: danlu downloads no code; load the file with torch.load)",
        "torch.nn.utilities is not in danlu; did you mean 'utils'?",
        "False",
    ], done.stderr


def test_without_a_gpu(run):
    done = run(
        """
        import torch
        import torch.backends.cudnn as cudnn
        from torch.cuda.amp import GradScaler, autocast
        cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32 = True, True
        torch.cuda.manual_seed_all(0), torch.cuda.empty_cache(), torch.cuda.synchronize()
        torch.use_deterministic_algorithms(True), torch.set_default_dtype(torch.float32)
        print(torch.cuda.is_available(), torch.cuda.device_count(), torch.backends.mps.is_available(), torch.version.cuda)
        layer = torch.nn.DataParallel(torch.nn.Linear(2, 1))
        for p in layer.parameters():
            p.data.fill_(0.25)
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        scaler = GradScaler()
        with autocast():
            loss = layer(torch.ones(3, 2)).mean()
        scaler.scale(loss).backward(), scaler.step(optimizer), scaler.update()
        print((loss - layer(torch.ones(3, 2)).mean()).item(), list(layer.state_dict()))
        for call in (torch.ones(2).cuda, lambda: torch.ones(2).to("cuda"), lambda: layer.to("cuda"), torch.cuda.current_device):
            try:
                call()
            except RuntimeError as error:
                print(error)
        """
    )
    lines = done.stdout.splitlines()
    refusal = "device 'cuda' is not available: danlu runs on the CPU. Leave device out, or write device='cpu'"
    assert lines[:2] == ["False 0 False None", "3.0 ['module.weight', 'module.bias']"], done.stderr
    assert lines[2:5] == [refusal] * 3 and lines[5].startswith("there is no GPU: danlu runs on the CPU, on all its cores. Ask ")


def test_types_as_pytorch_prints_them(run):
    done = run(
        """
        import io
        import torch
        x = torch.arange(2, dtype=torch.float64)
        print(x, x.dtype, x.shape, x.type(), torch.ones(1).type("torch.LongTensor"), torch.typename(x))
        print(isinstance(x, torch.Tensor), isinstance(x, torch.DoubleTensor), isinstance(x, torch.FloatTensor), isinstance(x.dtype, torch.dtype))
        print(torch.LongTensor([1, 2]), torch.FloatTensor(2, 1).shape, torch.finfo(torch.float32).max, torch.iinfo(torch.int8).min)
        print(torch.conv2d is torch.nn.functional.conv2d, torch.exp_(torch.zeros(2)), torch.get_default_dtype())
        buffer = io.BytesIO()
        torch.save({"x": x, "step": 3}, buffer)
        print(torch.load(io.BytesIO(buffer.getvalue())))
        """
    )
    assert done.stdout.splitlines() == [
        "tensor([0., 1.], dtype=torch.float64) torch.float64 torch.Size([2]) torch.DoubleTensor tensor([1]) torch.DoubleTensor",
        "True True False True",
        "tensor([1, 2]) torch.Size([2, 1]) 3.4028234663852886e+38 -128",
        "True tensor([1., 1.]) torch.float32",
        "{'x': tensor([0., 1.], dtype=torch.float64), 'step': 3}",
    ], done.stderr


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_find_danlu_too(run, method):
    if method not in __import__("multiprocessing").get_all_start_methods():
        pytest.skip("this system does not fork")
    done = run(
        f"""
        import multiprocessing
        import torch

        def double(number):
            return (torch.tensor(number) * 2).item()

        if __name__ == "__main__":
            with multiprocessing.get_context({method!r}).Pool(1) as pool:
                print(pool.map(double, [1, 2, 3]))
        """
    )
    assert done.stdout == "[2, 4, 6]\n", done.stderr


def test_a_plain_process_does_not_see_it():
    code = "import danlu, sys; print('danlu.interop' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "False False\n"


def test_a_notebook_gets_it_by_an_extension():
    code = (
        "import danlu, sys\nsys.path.append('gone')\ndanlu.load_ipython_extension(None)\ndanlu.load_ipython_extension(None)\n"
        "import torch\nprint(torch.ones(2).dtype)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "torch.float32\n", done.stderr
    taken = "import sys, types, danlu\nsys.modules['torch'] = types.ModuleType('torch')\ndanlu.load_ipython_extension(None)"
    done = subprocess.run([sys.executable, "-c", taken], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (
        "PyTorch itself is imported already; start the process (in a notebook: restart the kernel) and load danlu first"
        in done.stderr
    )


def test_check_lists_what_is_missing(run, tmp_path):
    code = """
        import torch
        import torch.nn as nn
        from torch import optim, nowhere
        import torch.onnx
        from torch.nn.functional import *

        def f(torch_free, x):
            nn.Linera(2, 3)
            optim.Adm
            x.anything(torch.ones(2).also_not_seen)
            return torch.reluu(x), torch.nn.functional.relu(x), torch.Tensor.nothing, nn.Module.forward.__name__
        """
    done = run(code, command=("-m", "danlu.cli", "check"))
    path = str(tmp_path / "script.py")
    assert [line.removeprefix(path) for line in done.stdout.splitlines()] == [
        ":4: torch.nowhere is not in danlu; did you mean 'where'?",
        ":5: torch.onnx is not in danlu (planned: files for other programs)",
        ":9: torch.nn.Linera is not in danlu; did you mean 'Linear'?",
        ":10: torch.optim.Adm is not in danlu; did you mean 'Adam'?",
        ":12: torch.Tensor.nothing is not in danlu",
        ":12: torch.reluu is not in danlu; did you mean 'relu'?",
    ], done.stderr
    assert done.returncode == 1
    good = run("import torch\nx = torch.ones(2)\n", command=("-m", "danlu.cli", "check"))
    assert (good.returncode, good.stdout) == (0, "every name of PyTorch that is used is there\n")
    bad = run("x = = 1\n", command=("-m", "danlu.cli", "check"))
    assert bad.returncode == 2 and "script.py:1: not Python: invalid syntax" in bad.stderr


def test_pytorch_modules_lead_to_modules_that_exist():
    code = (
        "from danlu.interop.finder import exists, install\nfrom danlu.interop.table import SOURCES\nimport importlib\ninstall()\n"
        "print(sum(importlib.import_module(n).__name__ == n for n in SOURCES if exists(n)), [n for n in SOURCES if not exists(n)])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    count, _, lacking = done.stdout.partition(" ")
    assert done.stderr == "" and int(count) > 45
    planned = {"torch.nn.utils.rnn", "torch.optim.swa_utils", "torchvision.utils"}
    assert set(eval(lacking)) <= planned, lacking
    assert Path(ROOT, "danlu/interop/table.py").exists()


def test_torchvisions_models(run):
    code = """
        import torch, torchvision
        import torchvision.models as models
        from torchvision.models.mobilenetv2 import InvertedResidual
        from torchvision.models.resnet import BasicBlock, ResNet, conv3x3
        from torchvision.models.vgg import VGG

        print(torchvision.models.resnet18(weights=None, num_classes=10).fc)
        print(sum(p.numel() for p in models.mobilenet_v3_small(pretrained=False).parameters()))
        weights = models.ResNet18_Weights.DEFAULT
        asked = (
            lambda: models.resnet18(pretrained=True),
            lambda: models.resnet18(weights=weights),
            lambda: models.DenseNet121_Weights,
            lambda: torch.hub.load("a", "b"),
        )
        for ask in asked:
            try:
                ask()
            except (AttributeError, ValueError) as error:
                print(error)
        """
    done = run(code)
    assert done.stdout.splitlines() == [
        "Linear(in_features=512, out_features=10, bias=True)",
        "2542856",
        "resnet18: the weights asked for are True; danlu downloads none: write weights=None, or save them with PyTorch, "
        "torch.save(model.state_dict(), 'resnet18.pt'), and write weights='resnet18.pt'",
        "resnet18: the weights asked for are 'ResNet18_Weights.DEFAULT'; danlu downloads none: write weights=None, or save them with PyTorch, "
        "torch.save(model.state_dict(), 'resnet18.pt'), and write weights='resnet18.pt'",
        "torchvision.models.DenseNet121_Weights is not in danlu (there are ResNet, VGG, AlexNet and MobileNet; no weights are downloaded: "
        "write resnet18(weights=None), or the path of a state dict); did you mean 'ResNet152_Weights'?",
        "torch.hub is not in danlu (not planned: danlu downloads no code; load the file with torch.load)",
    ], done.stderr
    checked = run(
        "from torch.utils import model_zoo\nfrom torchvision.models import densenet121\n", command=("-m", "danlu.cli", "check")
    )
    assert (
        "torch.utils.model_zoo is not in danlu (not planned: danlu downloads no weights; load a file with torch.load)"
        in checked.stdout
    )
    assert "torchvision.models.densenet121 is not in danlu (there are ResNet" in checked.stdout


def test_print_options(run):
    code = """
        import torch
        torch.set_printoptions(precision=2)
        print(torch.tensor([1.23456, 2.0]))
        torch.set_printoptions(sci_mode=False)
        print(torch.tensor([1e-6, 1.0]))
        torch.set_printoptions(profile="default")
        print(torch.tensor([1e-6, 1.0]))
        """
    assert run(code).stdout.splitlines() == ["tensor([1.23, 2.00])", "tensor([0.00, 1.00])", "tensor([1.0000e-06, 1.0000e+00])"]


def test_plans_speak_of_what_is_not_there():
    code = (
        "from danlu.interop.table import PLANS\nfrom danlu.interop.scan import _first_lacking\nfrom danlu.interop import install\ninstall()\n"
        "print([n for n in PLANS if n.startswith('torch.') and n not in ('torch.compile', 'torch.cuda', 'torch.jit') and not _first_lacking(n)])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_scripting_gives_back_what_it_is_given_and_says_so_once(run):
    done = run(
        """
        import warnings
        import torch
        warnings.simplefilter("always")

        @torch.jit.script
        def double(x):
            return 2 * x

        @torch.jit.ignore
        def never(x):
            return x

        net = torch.nn.Linear(2, 1)
        scripted, traced = torch.jit.script(net), torch.jit.trace(net, torch.ones(1, 2))
        print(double(torch.ones(2)), scripted is net, traced is net, torch.jit.is_scripting())
        for name in ("save", "load"):
            try:
                getattr(torch.jit, name)(net, "net.pt")
            except AttributeError as error:
                print(error)
        """
    )
    assert done.stdout.splitlines() == [
        "tensor([2., 2.]) True True False",
        "torch.jit.save is not in danlu (there is no program to save: torch.save(model.state_dict(), path))",
        "torch.jit.load is not in danlu (not planned: programs of TorchScript; save the state dict with PyTorch and load that)",
    ], done.stderr
    assert done.stderr.count("torch.jit.script and torch.jit.trace give back what they are given") == 1
