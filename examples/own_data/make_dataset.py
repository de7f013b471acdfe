"""Lay a phantom out as nnU-Net's raw data set: a stand-in for one's own images.

    shapewise phantom phantom --patients 8
    python examples/own_data/make_dataset.py phantom mydata

Every frame becomes a case of its own, named patientNNN_frameFF: frames of one patient share a split.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from shapewise.data.layouts import find_cases


def make_dataset(source: Path, out: Path) -> None:
    study = find_cases(source)
    for folder in ("imagesTr", "labelsTr"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for case in study.cases:
        name = f"{case.name}_frame{case.frame:02d}"
        shutil.copyfile(case.image, out / "imagesTr" / f"{name}_0000.nii.gz")
        if case.mask is not None:
            shutil.copyfile(case.mask, out / "labelsTr" / f"{name}.nii.gz")
    labels = {"background": 0} | {name: label for label, name in enumerate(study.classes, start=1)}
    description = {
        "channel_names": {"0": "cine MRI"},
        "labels": labels,
        "numTraining": len(study.cases),
        "file_ending": ".nii.gz",
    }
    (out / "dataset.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Copy an ACDC-like study into nnU-Net's raw layout.")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    make_dataset(arguments.source, arguments.out)
    print(f"{arguments.out} is ready")


if __name__ == "__main__":
    main()
