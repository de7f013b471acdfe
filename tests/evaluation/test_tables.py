from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shapewise.errors import ArgumentError
from shapewise.evaluation.tables import OVERALL, mean_std_table, summary_table, to_latex, to_markdown


def metrics(**dice: list[float]) -> pd.DataFrame:
    rows = [
        (f"patient{i:03d}", name, value) for name, values in dice.items() for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["case", "class", "dice"]).assign(hd95_mm=np.nan)


def row(summary: pd.DataFrame, run: str, name: str) -> dict[str, float]:
    found = summary[(summary["run"] == run) & (summary["class"] == name)]
    return found[["mean", "std", "n", "ratio"]].iloc[0].to_dict()


def values_with(mean: float, std: float, n: int = 20) -> list[float]:
    return [mean + std * (-1) ** i for i in range(n)]


def test_the_papers_table_follows_from_its_classes() -> None:
    pixels = metrics(
        RV=values_with(0.879, 0.066), Myo=values_with(0.829, 0.074), LV=values_with(0.919, 0.059)
    )
    ours = metrics(RV=values_with(0.825, 0.107), Myo=values_with(0.660, 0.114), LV=values_with(0.819, 0.086))
    table = mean_std_table(summary_table({"Cross-entropy": pixels, "Ours": ours}, reference="Cross-entropy"))
    assert list(table.columns) == ["RV", "Myo", "LV", OVERALL, "Ratio"]
    assert table.loc["Cross-entropy"].tolist() == [
        "0.879 (0.066)",
        "0.829 (0.074)",
        "0.919 (0.059)",
        "0.876 (0.076)",
        "1.000",
    ]
    assert table.loc["Ours", OVERALL] == "0.768 (0.128)"
    assert table.loc["Ours", "Ratio"] == "0.877"


def test_a_patients_frames_are_averaged_first() -> None:
    frame = pd.DataFrame(
        {"case": ["a", "a", "b"], "frame": [1, 12, 1], "class": "LV", "dice": [0.8, 0.6, 0.9]},
    )
    assert row(summary_table({"run": frame}), "run", "LV") == pytest.approx(
        {"mean": 0.8, "std": 0.1, "n": 2, "ratio": np.nan}, nan_ok=True
    )


def test_a_missed_object_lowers_the_mean() -> None:
    good, missed = metrics(LV=[0.9, 0.9]), metrics(LV=[0.9, 0.0])
    summary = summary_table({"good": good, "missed": missed}, reference="good")
    assert row(summary, "missed", "LV")["ratio"] == pytest.approx(0.5)


def test_an_unknown_measure_is_said_to_be_so() -> None:
    summary = summary_table({"run": metrics(LV=[0.9, 0.8])}, measure="hd95_mm")
    assert summary["n"].tolist() == [0, 0]
    assert mean_std_table(summary).loc["run"].tolist() == ["n/a", "n/a"]


def test_runs_with_other_classes_stand_side_by_side() -> None:
    table = mean_std_table(summary_table({"heart": metrics(LV=[0.9]), "prostate": metrics(Prostate=[0.8])}))
    assert list(table.columns) == ["LV", "Prostate", OVERALL]
    assert table.loc["heart", "Prostate"] == "n/a"
    assert list(table.index) == ["heart", "prostate"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"reference": "pixel"}, "one of pixels"), ({"measure": "jaccard"}, "jaccard")],
)
def test_refuses_what_it_does_not_have(arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        summary_table({"pixels": metrics(LV=[0.9])}, **arguments)


def test_writers_escape_their_own_characters() -> None:
    summary = summary_table({"log_barrier | 5%": metrics(LV=[0.9, 0.7])}, reference="log_barrier | 5%")
    assert r"| log_barrier \| 5% | 0.800 (0.100) | 0.800 (0.100) | 1.000 |" in to_markdown(summary)
    assert r"log\_barrier | 5\% & 0.800 (0.100) & 0.800 (0.100) & 1.000 \\" in to_latex(summary)
