"""The commands: one function each, no logic of its own."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shapewise.config import Experiment, load_experiment
from shapewise.errors import ConfigError, ShapewiseError
from shapewise.interruption import listen, loading, status_of
from shapewise.progress import is_first_process

# What a command does is loaded by the command: PyTorch and Lightning take seconds, in which `--help` and a
# mistyped option would wait for what they do not need.
if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="Train segmentation networks from a few numbers per object instead of a mask for every pixel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
screen = Console(markup=False, soft_wrap=True)  # paths may hold brackets, and must not break

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""Click's, wherever this Typer keeps it."""


@app.command()
def phantom(
    out: Annotated[
        Path, typer.Argument(help="Folder for the data set; nothing is replaced in it.", show_default=False)
    ],
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = 20,
    scanner: Annotated[str, typer.Option(help="A or B: two contrasts, noises and resolutions.")] = "A",
    seed: Annotated[int, typer.Option(help="The same seed gives the same patients.")] = 0,
) -> None:
    """Make synthetic cardiac cine-MRI in ACDC's layout, with masks: something to try everything on.

    Example: shapewise phantom phantom-data --patients 20
    """
    with loading():
        from shapewise.data.phantom import make_phantom

    make_phantom(out, patients=patients, scanner=scanner, seed=seed)
    screen.print(f"{patients} patients of scanner {scanner} in {out}")


@app.command()
def describe(
    data: Annotated[Path, typer.Argument(help="Data folder: ACDC, PROMISE12 or nnU-Net raw layout.")],
    out: Annotated[Path, typer.Option(help="Table to write, .csv or .parquet.", show_default=False)],
    layout: Annotated[str, typer.Option(help="auto, acdc, promise12 or nnunet.")] = "auto",
    unit: Annotated[str, typer.Option(help="px (of the original image) or mm.")] = "px",
    descriptors: Annotated[
        str, typer.Option(help="Comma-separated names of descriptors.")
    ] = "volume,centroid,spread,covariance,length",
    whole_volume: Annotated[
        bool, typer.Option("--whole-volume", help="Describe 3-D objects, not slice by slice.")
    ] = False,
    plugin: Annotated[
        list[Path] | None,
        typer.Option(help="Python file that registers more descriptors; may be given again."),
    ] = None,
) -> None:
    """Turn masks into a descriptor table; afterwards the masks are not needed for training.

    Example: shapewise describe phantom-data --out table.csv
    """
    with loading():
        from shapewise.data import describe, layouts, plugins, table

    table.check_suffix(out)
    names = tuple(name.strip() for name in descriptors.split(",") if name.strip())
    if not names:
        raise ConfigError("--descriptors", expected="at least one name", found=repr(descriptors))
    for path in plugin or ():
        plugins.load_plugin(path)
    study = layouts.find_cases(data, layout)
    numbers = describe.describe(study, descriptors=names, unit=unit, whole=whole_volume)
    table.write_table(numbers, out)
    screen.print(f"{len(numbers)} numbers about {numbers['case'].nunique()} cases in {out}")


@app.command()
def annotate(
    out: Annotated[Path, typer.Option(help="Table to write, .csv or .parquet.", show_default=False)],
    data: Annotated[
        Path | None, typer.Argument(help="Study, folder of images, or image.", show_default=False)
    ] = None,
    classes: Annotated[str, typer.Option(help="Comma-separated names.", show_default="the layout's")] = "",
    layout: Annotated[str, typer.Option(help="auto, acdc, promise12, nnunet, or folder.")] = "auto",
    unit: Annotated[str, typer.Option(help="px (of the original image) or mm.")] = "px",
    run: Annotated[Path | None, typer.Option(help="Run folder, whose predictions are suggested.")] = None,
    host: Annotated[str, typer.Option(help="Address to bind.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port.", show_default="8471, or one that is free")
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Print seconds and gestures an object, and end.")
    ] = False,
) -> None:
    """Describe objects in the browser, by ellipses and polygons; Ctrl-C ends it and writes the table.

    Example: shapewise annotate phantom-data --classes RV,Myo,LV --out clicks.csv
    """
    with loading():
        from shapewise.annotate.session import costs_of, open_session, show

    if summary:
        show_costs(costs_of(out), str(out))
        return
    if data is None:
        raise ConfigError("data", expected="a study, a folder of images, or an image", found="none")
    session = open_session(
        data, out, classes=classes, layout=layout, unit=unit, run=run, host=host, port=port
    )
    screen.print(f"open {session.url}    (Ctrl-C ends it; every edit is kept at once)")
    show(session.url)
    screen.print(session.run())


def show_costs(costs: pd.DataFrame, title: str) -> None:
    """Print what an object cost, class by class."""
    table = Table("class", *costs.columns, title=Text(title))
    for name, row in costs.iterrows():
        table.add_row(str(name), *(f"{value:.1f}" for value in row))
    screen.print(table)


@app.command()
def train(
    experiment: Annotated[Path, typer.Argument(help="Experiment file.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="key=value, such as training.epochs=3.", show_default=False)
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Data folder; wins over the experiment's.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/NAME-OF-THE-FILE")
    ] = None,
) -> None:
    """Train a network as an experiment says. The same command resumes a run that was interrupted.

    Example: shapewise train experiments/acdc_barrier.yaml --data acdc --out runs/barrier training.seed=1
    """
    settings = load_experiment(experiment, overrides)
    root, run = data_root(settings, data), out or Path("runs") / experiment.stem
    try:
        with loading():
            import torch

            from shapewise.run_training import train
        quiet_lightning()
        # Gradients of a network that is sure of nearly every pixel are full of denormal numbers, and
        # convolutions take a CPU more than a hundred times as long over them. Threads do as the one that
        # starts them.
        torch.set_flush_denormal(True)
        train(settings, root, run, folder=experiment.parent)
    except KeyboardInterrupt as interruption:
        interruption.add_note(f"the same command {'resumes' if run.exists() else 'starts'} {run}")
        raise
    if is_first_process():
        screen.print(f"trained: {run}    next: shapewise evaluate {run}")


def data_root(settings: Experiment, data: Path | None) -> Path:
    """Choose the data folder; raises `ConfigError` if nobody named one."""
    if data is not None:
        return data
    if settings.data.root is None:
        raise ConfigError("data.root", expected="a data folder, there or by --data", found="none")
    return Path(settings.data.root)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    data: Annotated[Path | None, typer.Option(help="Data folder.", show_default="the training's")] = None,
    split: Annotated[
        str, typer.Option(help="train, validation, test, or new: patients that are in none of these.")
    ] = "test",
) -> None:
    """Measure a run's best epoch: Dice, surface distances, descriptors, biomarkers, case by case.

    Example: shapewise evaluate runs/barrier
    """
    with loading():
        from shapewise.runs import evaluate

    metrics = evaluate(run, data, split=split)
    show_metrics(metrics, f"{run}, {'new patients' if split == 'new' else split + ' split'}")


def show_metrics(metrics: pd.DataFrame, title: str) -> None:
    """Print the mean of each measure by class."""
    if metrics.empty:
        screen.print("no case has a mask: predictions and volumes only")
        return
    columns = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "assd_mm": "ASSD (mm)", "satisfied": "satisfied"}
    shown = [name for name in columns if metrics[name].notna().any()]
    table = Table("class", *(columns[name] for name in shown), title=Text(title))
    means = metrics.groupby("class", sort=False)[shown].mean()
    means.loc["mean"] = means.mean()
    for name, row in means.iterrows():
        table.add_row(str(name), *(f"{value:.3f}" for value in row))
    screen.print(table)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.", show_default=False)],
    images: Annotated[list[Path], typer.Argument(help="Images, or folders of a DICOM series.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.", show_default=False)],
) -> None:
    """Segment images; each mask has the geometry of its image, and its format where that can hold one.

    Example: shapewise predict runs/barrier patient001_frame01.nii.gz --out masks
    """
    with loading():
        from shapewise.runs import predict

    for mask in predict(run, images, out):
        screen.print(str(mask))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Evaluated run folders.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for tables, figures and report.html.")],
) -> None:
    """Set runs side by side: the paper's table and figures, biomarkers, and one report.html.

    Example: shapewise compare runs/pixels runs/barrier --out report
    """
    with loading():
        from shapewise.plots import compare

    report = compare(runs, out)
    if (report.parent / "table1.md").exists():
        screen.print((report.parent / "table1.md").read_text(encoding="utf-8"), soft_wrap=True)
    screen.print(f"report: {report}")


def main() -> None:
    """Run a command; the package's own errors become one line and exit status 2."""
    quiet_libraries()
    listen()
    try:
        # Not `app()`: Typer would take five lines for a mistyped option, and none for Ctrl-C.
        command = typer.main.get_command(app)
        with command.make_context("shapewise", sys.argv[1:]) as context:
            command.invoke(context)
    except typer.Exit as left:
        sys.exit(left.exit_code)
    except UsageError as error:
        fail(usage_line(error))
    except ShapewiseError as error:
        fail(str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        found = next(iter(str(error).splitlines()), "none left")
        fail(f"memory: expected enough, found {found}; lower training.batch_size, the image or the network")
    except OSError as error:
        fail(f"{error.filename or 'a file'}: expected to be read or written, found {error.strerror or error}")
    except KeyboardInterrupt as interruption:
        state = getattr(interruption, "__notes__", ["nothing is left half-written"])
        if is_first_process():
            print(f"interrupted; {state[0]}", file=sys.stderr)
        sys.exit(status_of(interruption))


def is_out_of_memory(error: Exception) -> bool:
    """PyTorch has an error of its own for this on GPUs only."""
    torch = sys.modules.get("torch")  # not to be loaded now
    own = isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError))
    return own or "DefaultCPUAllocator" in str(error)


def usage_line(error: Any) -> str:
    """Say in one line which argument is missing or mistyped, what was expected and what was found."""
    path = error.ctx.command_path if error.ctx else "shapewise"
    param = getattr(error, "param", None)
    if param is None:
        message = error.format_message().rstrip(".") or "none"
        where, found = getattr(error, "option_name", path), message[0].lower() + message[1:]
        return f"{where}: expected arguments as in `{path} --help`, found {found}"
    expected, found = (param.help or "a value").rstrip("."), "none"
    if isinstance(error.__cause__, ValidationError):
        refused = error.__cause__.errors()[0]
        expected, found = refused["msg"].removeprefix("Input should be "), repr(refused["input"])
    return f"{param.opts[0]}: expected {expected[0].lower() + expected[1:]}, found {found}"


def fail(message: str) -> None:
    """Say what is wrong in one line, and stop with status 2."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


def quiet_libraries() -> None:
    """Keep what libraries warn of off the screen."""
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|torch|monai)\b.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")


def quiet_lightning() -> None:
    """Keep what Lightning says of itself off the screen, once it is loaded: it sets its own levels then."""
    quiet_libraries()  # it has put filters of its own before ours
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
