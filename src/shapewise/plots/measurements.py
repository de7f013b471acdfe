"""What predictions measure, in tables for reading: of scans without masks, which have no other result."""

from __future__ import annotations

import pandas as pd

from shapewise.plots.bland_altman import in_percent
from shapewise.plots.runs import Run
from shapewise.plots.wording import number, when

HEADS = {
    "lv_edv_ml": "LV EDV (mL)",
    "lv_esv_ml": "LV ESV (mL)",
    "lv_ef": "LV EF (%)",
    "rv_edv_ml": "RV EDV (mL)",
    "rv_esv_ml": "RV ESV (mL)",
    "rv_ef": "RV EF (%)",
    "myo_mass_g": "Myo mass (g)",
}
"""Short for a wide table; in this order, and others after them as they are called."""


def predicted_biomarkers(run: Run) -> pd.DataFrame | None:
    """A row a patient without masks, a column a quantity, ejection fractions in percent; None without any."""
    if run.biomarkers is None:
        return None
    patients = run.evaluated.loc[run.evaluated["mask"].isna(), "patient"]
    found = run.biomarkers[run.biomarkers["patient"].isin(patients)]
    if found["predicted"].isna().all():
        return None
    wide = in_percent(found).pivot(index="patient", columns="quantity", values="predicted")
    wide = wide[[*(name for name in HEADS if name in wide), *wide.columns.difference(list(HEADS))]]
    return wide.map(lambda value: number(value, 1)).rename(columns=HEADS)


def predicted_volumes(run: Run) -> pd.DataFrame | None:
    """A row a scan without a mask, a column a class; None where no spacing is known, or without volumes."""
    if run.volumes is None:
        return None
    found = run.volumes[pd.MultiIndex.from_frame(run.volumes[["case", "frame"]]).isin(run.unmasked)]
    if found["volume_ml"].isna().all():
        return None
    rows = found.astype(object).where(found.notna(), None)
    keys = zip(rows["case"], rows["frame"], rows["phase"], strict=True)
    names = [", ".join(filter(None, (case, when(frame, phase)))) for case, frame, phase in keys]
    scans = found.assign(scan=names)
    wide = scans.pivot(index="scan", columns="class", values="volume_ml")[run.classes]
    return wide.map(lambda value: number(value, 1)).add_suffix(" (mL)")
