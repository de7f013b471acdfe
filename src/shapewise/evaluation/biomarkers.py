"""What a cardiologist reads off a segmentation: ventricular volumes, ejection fractions, myocardial mass.

Volumes are voxels times spacing, ED and ES come from the case's phase, an ejection fraction is
(EDV - ESV) / EDV and the mass is the myocardium's volume at ED times 1.05 g/mL. A reference is the published
number where the study has a `reference_biomarkers.csv` (one row a patient), else the annotated masks' own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from shapewise.errors import DataError

MYOCARDIAL_DENSITY = 1.05
"""Grams in a millilitre of myocardium."""

QUANTITIES = ("lv_edv_ml", "lv_esv_ml", "lv_ef", "rv_edv_ml", "rv_esv_ml", "rv_ef", "myo_mass_g")
COLUMNS = ("patient", "quantity", "predicted", "reference")
PUBLISHED = "reference_biomarkers.csv"


def biomarkers(volumes: pd.DataFrame, published: pd.DataFrame | None = None) -> pd.DataFrame:
    """Predicted and reference biomarkers of each patient.

    Args:
        volumes: Columns patient, phase ("ED", "ES"), class, volume_ml, volume_ml_reference; one row a scan
            and class. Rows without a phase and classes other than LV, RV and Myo (any case) are ignored.
        published: The published numbers, as `read_published` gives them; they win over the masks' own.

    Returns:
        Columns patient, quantity, predicted, reference; one row for each quantity whose class and phases the
        volumes have. A missing reference is NaN, and so is an ejection fraction whose EDV is 0.

    Examples:
        >>> volumes = pd.DataFrame(
        ...     [["p1", "ED", "LV", 100.0, 120.0], ["p1", "ES", "LV", 40.0, 60.0]],
        ...     columns=["patient", "phase", "class", "volume_ml", "volume_ml_reference"],
        ... )
        >>> biomarkers(volumes)["predicted"].tolist()
        [100.0, 40.0, 0.6]
    """
    rows = []
    for patient, scans in volumes.groupby("patient", sort=True):
        predicted = _quantities(scans, "volume_ml")
        reference = _quantities(scans, "volume_ml_reference") | _published_row(published, str(patient))
        rows += [(patient, name, value, reference.get(name, np.nan)) for name, value in predicted.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"predicted": float, "reference": float})


def find_published(root: Path) -> Path | None:
    """Find the study's `reference_biomarkers.csv`: in its folder, or above where `root` is ACDC's `training`.

    Examples:
        >>> find_published(Path("nowhere"))
    """
    places = (root / PUBLISHED, root.resolve().parent / PUBLISHED)
    return next((place for place in places if place.is_file()), None)


def read_published(path: Path) -> pd.DataFrame:
    """Read published biomarkers: one row a patient, the columns named as the quantities that they hold.

    Raises:
        DataError: The file cannot be read, lacks the column `patient` or names a patient twice.
    """
    try:
        frame = pd.read_csv(path, dtype={"patient": str}, keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise DataError(path, expected="a CSV table of biomarkers", found=error) from error
    if "patient" not in frame or frame["patient"].duplicated().any():
        raise DataError(path, expected="a column patient that names each once", found=list(frame.columns))
    published = frame.set_index("patient")
    for name in set(QUANTITIES) & set(published):
        if not pd.api.types.is_numeric_dtype(published[name]):
            raise DataError(path, expected=f"numbers in the column {name}", found="text")
    return published


def agreement(frame: pd.DataFrame) -> pd.DataFrame:
    """How predicted biomarkers agree with their references (Bland and Altman, Lancet 1986).

    Args:
        frame: As `biomarkers` returns it.

    Returns:
        Indexed by quantity: `n` pairs and `missing` ones (no prediction or no reference); `bias`, the mean
        of predicted minus reference; `sd` of that difference (n - 1); `lower_limit` and `upper_limit`, bias ∓
        1.96 sd; Pearson's `correlation`; `mean_absolute_error`. What too few pairs cannot give is NaN.

    Examples:
        >>> frame = pd.DataFrame({"quantity": "lv_ef", "predicted": [0.5, 0.7], "reference": [0.4, 0.6]})
        >>> agreement(frame)["bias"].round(3).to_dict()
        {'lv_ef': 0.1}
    """
    rows = {str(quantity): _agreement(pairs) for quantity, pairs in frame.groupby("quantity", sort=False)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(AGREEMENT)).rename_axis("quantity")


AGREEMENT = ("n", "missing", "bias", "sd", "lower_limit", "upper_limit", "correlation", "mean_absolute_error")


def _agreement(pairs: pd.DataFrame) -> tuple[float, ...]:
    complete = pairs[["predicted", "reference"]].dropna()
    difference = complete["predicted"] - complete["reference"]
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    limits = bias - 1.96 * sd, bias + 1.96 * sd
    error = float(difference.abs().mean())
    return len(complete), len(pairs) - len(complete), bias, sd, *limits, _correlation(complete), error


def _correlation(pairs: pd.DataFrame) -> float:
    """Pearson's r; NaN where either side is constant, and of two pairs, which always lie on a line."""
    if len(pairs) < 3 or not (pairs.std() > 0).all():
        return float("nan")
    return float(pairs["predicted"].corr(pairs["reference"]))


def _quantities(scans: pd.DataFrame, column: str) -> dict[str, float]:
    """The quantities of one patient that the classes and phases at hand allow."""
    volume = {
        (str(c).lower(), p): float(v)
        for c, p, v in zip(scans["class"], scans["phase"], scans[column], strict=True)
    }
    found: dict[str, float] = {}
    for ventricle in ("lv", "rv"):
        if (ventricle, "ED") in volume:
            found[f"{ventricle}_edv_ml"] = volume[ventricle, "ED"]
        if (ventricle, "ES") in volume:
            found[f"{ventricle}_esv_ml"] = volume[ventricle, "ES"]
        if {f"{ventricle}_edv_ml", f"{ventricle}_esv_ml"} <= found.keys():
            found[f"{ventricle}_ef"] = _ejection_fraction(volume[ventricle, "ED"], volume[ventricle, "ES"])
    if ("myo", "ED") in volume:
        found["myo_mass_g"] = volume["myo", "ED"] * MYOCARDIAL_DENSITY
    return found


def _ejection_fraction(end_diastolic: float, end_systolic: float) -> float:
    return (end_diastolic - end_systolic) / end_diastolic if end_diastolic else float("nan")


def _published_row(published: pd.DataFrame | None, patient: str) -> dict[str, float]:
    if published is None or patient not in published.index:
        return {}
    row = published.reindex(index=[patient], columns=list(QUANTITIES)).iloc[0].dropna()
    return {str(name): float(value) for name, value in row.items()}
