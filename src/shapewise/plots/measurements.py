"""What predictions measure, in tables for reading: of cases without masks, which have no other result."""

from __future__ import annotations

import numpy as np
import pandas as pd

from shapewise.plots.bland_altman import PERCENT
from shapewise.plots.runs import Run
from shapewise.plots.wording import number

HEADS = {
    "lv_edv_ml": "LV EDV (mL)",
    "lv_esv_ml": "LV ESV (mL)",
    "lv_ef": "LV EF (%)",
    "rv_edv_ml": "RV EDV (mL)",
    "rv_esv_ml": "RV ESV (mL)",
    "rv_ef": "RV EF (%)",
    "myo_mass_g": "Myo mass (g)",
}


def predicted_biomarkers(run: Run) -> pd.DataFrame | None:
    """A row a patient, a column a quantity, ejection fractions in percent; None without any."""
    if run.biomarkers is None or run.biomarkers["predicted"].isna().all():
        return None
    scale = np.where(run.biomarkers["quantity"].str.endswith("_ef"), PERCENT, 1.0)
    scaled = run.biomarkers.assign(predicted=run.biomarkers["predicted"] * scale)
    wide = scaled.pivot(index="patient", columns="quantity", values="predicted")
    wide = wide[[name for name in HEADS if name in wide]]
    return wide.map(lambda value: number(value, 1)).rename(columns=HEADS)


def predicted_volumes(run: Run) -> pd.DataFrame | None:
    """A row a scan, a column a class; None where no spacing is known."""
    if run.volumes is None or run.volumes["volume_ml"].isna().all():
        return None
    rows = run.volumes
    when = "frame " + rows["frame"].astype(str)
    if "phase" in rows:
        when = rows["phase"].fillna(when)
    scans = rows.assign(scan=rows["case"] + ", " + when)
    wide = scans.pivot(index="scan", columns="class", values="volume_ml")[run.classes]
    return wide.map(lambda value: number(value, 1)).add_suffix(" (mL)")
