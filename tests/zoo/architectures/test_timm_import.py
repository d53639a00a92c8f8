"""`import timm` beside a torchvision of another build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECK = """
import sys
from acrank.zoo.architectures.timm_import import import_timm
{prepare}
timm = import_timm()
assert import_timm() is timm is sys.modules["timm"]
import torchvision.transforms
print(timm.create_model("test_resnet", num_classes=2).num_classes)
"""

# A torchvision whose import fails once, as the CUDA build's does beside a CPU-only torch, until nms is declared.
BROKEN = """\
import torch
if not hasattr(torch.ops.torchvision, "nms"):
    raise RuntimeError("operator torchvision::nms does not exist")
"""


def run(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    extra = "".join(f"sys.path.insert(0, {str(folder)!r})\n" for folder in path)
    return subprocess.run(
        [sys.executable, "-c", f"import sys\n{extra}{code}"], capture_output=True, text=True, check=False
    )


def test_timm_can_be_imported_here() -> None:
    done = run(CHECK.format(prepare=""))
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_the_operators_are_declared_only_when_the_import_fails_that_way(tmp_path: Path) -> None:
    (tmp_path / "torchvision.py").write_text(BROKEN)
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("import timm.half\nimport torchvision\ntimm.half\n")
    (tmp_path / "timm" / "half.py").write_text("")
    code = "from acrank.zoo.architectures import timm_import as t\nt.import_timm()\nprint(len(t._declared))"
    assert run(code, tmp_path).stdout == "1\n"
    (tmp_path / "torchvision.py").write_text("")
    assert run(code, tmp_path).stdout == "0\n"


def test_other_failures_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('something else')")
    done = run("from acrank.zoo.architectures.timm_import import import_timm\nimport_timm()", tmp_path)
    assert "RuntimeError: something else" in done.stderr
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    done = run("from acrank.zoo.architectures.timm_import import import_timm\nimport_timm()", tmp_path)
    assert "operator torchvision::nms does not exist" in done.stderr  # declared, still failing: no endless loop
