"""The command `hand-bench baselines`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from hand_bench.cli import console

Output = Annotated[Path, Parameter(name=["--output", "-o"])]


@Parameter(name="*")
@dataclass(frozen=True)
class Looking:
    """How weights look at a track.

    Parameters
    ----------
    annotations
        Annotations file; default: the prepared ones.
    images
        Folder of pictures; default: where the dataset was prepared.
    root_depth
        A RootNet's weights (folder or name), or its result file (.json): at these depths hands are
        lifted. Default: at the mean depth of the training wrists.
    left_root
        Where the left wrist is seen from the right one: at the predicted difference of depths, or
        (absolute) at the difference of the depths that `--root-depth` gives.
    start
        Models of several views: weights of the 2D network whose hands a MVExoNet starts from, or a
        file of predictions that it refines. Default: it starts from the boxes.
    rounds
        How often a MVExoNet looks: 3 rounds are R3.
    triangulation
        Whether joints come from the views that agree (ransac), or from all by their confidence.
    views
        2D + Triangulation: in how many views each hand is looked at, drawn for each; default: all.
    poses
        For models of clips: predictions of a pose track of the same data; default: the truth.
    meshes
        WildHands and its family: the hands' MANO parameters as well, from which meshes are made and
        scored (MPVPE).
    boxes
        WildHands and its family: a file of boxes of hands (.parquet, see `detect`), or weights of a
        detector (folder or name); default: the boxes of the annotations.
    batch, workers, device
        Samples at once, processes that read pictures, and what computes.
    """

    annotations: Path | None = None
    images: Path | None = None
    root_depth: str | None = None
    left_root: Literal["relative", "absolute"] | None = None
    start: str | None = None
    rounds: int | None = None
    triangulation: Literal["ransac", "algebraic"] | None = None
    views: int | None = None
    poses: Path | None = None
    meshes: bool | None = None
    boxes: str | None = None
    batch: int = 32
    workers: int = 1
    device: str | None = None


DEFAULT = Looking()
app = App(
    name="baselines",
    help="Train, run and score the baseline models.",
    result_action="return_value",
    default_parameter=Parameter(negative=()),
)
app.command(
    "hand_baselines.hub_commands:baselines_get",
    name="get",
    help="Download weights from the Hugging Face Hub.",
)
app.command(
    "hand_baselines.hub_commands:baselines_push",
    name="push",
    help="Send weights to a repository on the Hugging Face Hub.",
)
app.command(
    "hand_baselines.recipes.commands:baselines_make",
    name="make",
    help="Make shipped weights again, from the world to the verdict.",
)
app.command(
    "hand_baselines.board_commands:baselines_submit",
    name="submit",
    help="Write predictions and descriptions of floors and weights, for the board.",
)


@app.command(name="ls")
def baselines_ls(*, json: bool = False) -> None:
    """List the models, and the weights that are in the repository.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from hand_baselines.models import MODELS
    from hand_baselines.weights import shipped

    if json:
        models = {n: {"title": m.title, "presets": m.presets()} for n, m in MODELS.items()}
        console.write_json({"models": models, "weights": shipped()})
        return
    table = console.table("", "model", "presets", "what it is")
    for name, model in MODELS.items():
        table.add_row(name, ", ".join(model.presets()), model.title)
    console.out().print(table)
    console.write(f"weights: {', '.join(shipped()) or 'none'}")


@app.command(name="show")
def baselines_show(name: str, /) -> None:
    """Print the card of weights, or describe a model.

    Parameters
    ----------
    name
        Model, folder of weights, or name of shipped weights.
    """
    from hand_baselines.models import MODELS
    from hand_baselines.weights import find_weights

    if name not in MODELS:
        folder = find_weights(name)
        card = folder / "README.md"
        shown = card if card.is_file() else folder / "config.json"
        console.write(shown.read_text("utf-8").rstrip())
        return
    import torch

    from hand_baselines.resnet import parameter_count
    from hand_bench.errors import BaselineError

    model = MODELS[name]
    console.write(model.title)
    for preset in model.presets():
        try:
            with torch.device("meta"):
                count = parameter_count(model.network_class()(model.preset(preset)))
            said = f"{count:,} parameters"
        except BaselineError as error:  # a preset may need a library that is not installed
            said = error.problems[0].what
        console.write(f"{preset:8} {said}")
        for key, value in vars(model.preset(preset)).items():
            console.write(f"    {key:16} {value}")
        for key, value in model.options.get(preset, {}).items():
            console.write(f"    training: {key:16} {value}")


@app.command(name="train")
def baselines_train(
    name: str,
    /,
    *,
    data: tuple[str, ...],
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    preset: str = "small",
    config: tuple[str, ...] = (),
    steps: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    images: Path | None = None,
    hands: Literal["all", "single", "interacting"] = "all",
    annotators: tuple[str, ...] = (),
    poses: Path | None = None,
    backbone_weights: str | None = None,
    initial_weights: str | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    schedule: Literal["steps", "cosine"] | None = None,
    clip: float | None = None,
    augmentation: float | None = None,
    precision: Literal["no", "fp16", "bf16"] | None = None,
    workers: int | None = None,
    threads: int | None = None,
    save_every: int | None = None,
    validated: int | None = None,
    seed: int | None = None,
    no_score: bool = False,
) -> None:
    """Train a model on a track's training data, then predict and score the track.

    Parameters
    ----------
    name
        Model.
    data
        Track whose dataset is trained on; give it again for several: the first one scores.
    output
        Folder of the run; the same command goes on with a run that was interrupted. Default:
        runs/NAME-PRESET.
    preset
        Configuration, and the options that go with it.
    config
        NAME=VALUE: what differs from it, as `show` lists it; again for more.
    steps, minutes, epochs
        When it ends; one of the three. Default: the preset's.
    images
        Folder of pictures; default: where the dataset was prepared.
    hands
        Pictures of single hands, of interacting ones, or all.
    annotators
        Only labels of these annotators (human, machine).
    poses
        For models of clips: predictions of the training pictures, in place of the truth. The run is
        not scored then.
    backbone_weights
        What the backbone starts from: weights by folder or name, a .safetensors file with
        torchvision's names, or a repository of the Hub ("timm/resnet50.tv_in1k").
    initial_weights
        What all layers of fitting names and shapes start from: weights by folder or name, of this
        model or of one with the same parts.
    batch, learning_rate, schedule, clip, augmentation, precision
        Where they differ from the preset's.
    workers, threads
        Processes that read pictures, and threads that compute on a processor.
    save_every
        Steps between saved states.
    validated
        Validation samples scored while training; 0: none.
    seed
        Of everything that is drawn.
    no_score
        Leave out the prediction and scoring at the end.
    """
    given = dict(locals())
    from hand_baselines import runs
    from hand_baselines.models import find_model

    output = output or Path("runs") / f"{name}-{preset}"
    options: dict[str, Any] = runs.options_of(given)
    result = runs.run(
        find_model(name),
        data,
        preset,
        output,
        images=images,
        hands=hands,
        annotators=annotators,
        poses=poses,
        backbone_weights=backbone_weights,
        initial_weights=initial_weights,
        validated=runs.VALIDATED if validated is None else validated,
        score=not no_score,
        config=config,
        **options,
    )
    if result is not None:
        console.write(str(result))
    console.write(str(output))


@app.command(name="predict")
def baselines_predict(
    name: str, /, *, track: str, output: Output, looking: Looking = DEFAULT
) -> None:
    """Answer a track; an interrupted prediction goes on where it stopped.

    Parameters
    ----------
    name
        Folder of weights, or name of shipped ones.
    track
        Name of the track.
    output
        Predictions file to write; with ``.json``, a RootNet's official result file.
    """
    from hand_baselines.prediction import predict, write_roots
    from hand_baselines.weights import load_weights

    options = asdict(looking)
    with console.progress_bar() as progress:
        if output.suffix == ".json":
            rows = write_roots(name, track, output, progress=progress, **options)
        else:
            rows = predict(load_weights(name), track, output, progress=progress, **options)
    console.write(f"{output}: {rows:,} samples")


@app.command(name="eval")
def baselines_eval(
    name: str,
    /,
    *,
    track: str,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    looking: Looking = DEFAULT,
    json: bool = False,
) -> None:
    """Predict a track and score the file.

    Parameters
    ----------
    name
        Folder of weights, or name of shipped ones.
    track
        Name of the track.
    output
        Where the predictions are kept; default: they are not.
    json
        The result as JSON instead of lines.
    """
    import tempfile

    from hand_baselines.prediction import predict, score
    from hand_baselines.weights import load_weights
    from hand_bench.tracks import find_track

    with tempfile.TemporaryDirectory() as folder, console.progress_bar() as progress:
        path = output or Path(folder) / f"{Path(name).name}.parquet"
        predict(load_weights(name), track, path, progress=progress, **asdict(looking))
        truth: Any = {"annotations": looking.annotations, "progress": progress}
        result = score(path, find_track(track), **truth)
    if json:
        console.write_json(result.to_json())
    else:
        console.write(str(result))


@app.command(name="detect")
def baselines_detect(
    name: str,
    /,
    *,
    track: str,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    least: float | None = None,
    annotations: Path | None = None,
    images: Path | None = None,
    batch: int = 32,
    workers: int = 1,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Find the boxes of hands in a track's pictures, and measure them.

    Parameters
    ----------
    name
        Weights of a detector (folder or name); or a file of boxes, which is measured.
    track
        Name of the track.
    output
        File of boxes to write (.parquet), for `predict --boxes`.
    least
        Smallest score of a box that counts as a hand; default: 0.3. AP50 counts all.
    annotations
        Annotations file; default: the prepared ones.
    images
        Folder of pictures; default: where the dataset was prepared.
    batch, workers, device
        Pictures at once, processes that read them, and what computes.
    json
        One JSON object instead of lines.
    """
    from hand_baselines.detector.measures import LEAST
    from hand_baselines.detector.predict import detect

    with console.progress_bar() as progress:
        measures = detect(
            name,
            track,
            output,
            least=LEAST if least is None else least,
            annotations=annotations,
            images=images,
            progress=progress,
            batch=batch,
            workers=workers,
            device=device,
        )
    if json:
        console.write_json(measures.to_json())
        return
    console.write(str(measures))
    if output is not None:
        console.write(str(output))


@app.command(name="demo")
def baselines_demo(
    name: str,
    image: Path,
    /,
    *,
    output: Output = Path("hands.png"),
    camera: str | None = None,
    boxes: tuple[str, ...] = (),
    root_depth: str | None = None,
) -> None:
    """Draw the hands that a model finds in a picture.

    Parameters
    ----------
    name
        Folder of weights, or name of shipped ones.
    image
        Any picture.
    output
        Picture to write: .png, .svg or .pdf.
    camera
        fx,fy,cx,cy of the picture in pixels; default: a camera that sees 60 degrees.
    boxes
        x,y,w,h in pixels around the hands, both hands in one; again for more. Default: all of it.
        For models of single hands: right:x,y,w,h and left:x,y,w,h, or weights of a detector (folder
        or name).
    root_depth
        A RootNet's weights, for depths; default: the mean depth of training wrists.
    """
    from hand_baselines.demonstration import draw, look
    from hand_baselines.weights import load_weights
    from hand_bench import drawing
    from hand_bench.errors import BaselineError, Problem

    lens = None if camera is None else _numbers("--camera", camera)
    loaded = load_weights(name)
    named = [box for box in boxes if "," not in box]
    if named and len(boxes) > 1:
        fix = "Name a detector alone, or boxes alone."
        raise BaselineError(
            Problem("HB302", "--boxes", f"{named[0]!r} stands beside others.", fix=fix)
        )
    detector = load_weights(named[0]) if named else None
    sides = [box.rpartition(":")[::2] for box in boxes if box not in named]
    places = [(side, _numbers("--boxes", box)) for side, box in sides]
    given: dict[str, Any] = {"boxes": places, "detector": detector, "root_depth": root_depth}
    found = look(loaded, image, camera=lens, **given)
    drawing.save(draw(image, found, camera=lens), output)
    for one in found:
        console.write(one.line())
    if not found:
        console.write("no hand was found; `--boxes right:x,y,w,h` says where to look")
    console.write(str(output))


def _numbers(option: str, text: str) -> list[float]:
    """Read numbers with commas between them; HB302 where they are none."""
    from hand_bench.errors import BaselineError, Problem

    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        fix = "Numbers with commas between them, no spaces: 40,60,200,180."
        raise BaselineError(Problem("HB302", option, f"{text!r} is none.", fix=fix)) from error


@app.command(name="ship")
def baselines_ship(
    run: Path,
    folder: Path,
    /,
    *,
    track: tuple[str, ...],
    notes: Path | None = None,
    predictions: Path | None = None,
    store: Literal["half", "byte"] = "half",
    workers: int = 1,
) -> None:
    """Make weights that can be given away out of a run: small files, scores, floors, card.

    Parameters
    ----------
    run
        Folder of a run (`train`).
    folder
        Where the weights go; its name becomes theirs.
    track
        What they are scored on, and what `predict` is given there: "handsim-interhand26m
        root_depth=rootnet-small". Again for more scores on the card; with "weights=NAME" those of
        other weights.
    notes
        Text file: what else the card has to say.
    predictions
        Where the predictions of the first track are kept; default: they are not.
    store
        Numbers in half precision, or as bytes with a factor for each channel: half as large.
    workers
        Processes that read pictures.
    """
    from hand_baselines.shipping import ship

    said = notes.read_text("utf-8").strip() if notes else ""
    kept: dict[str, Any] = {"predictions": predictions, "store": store}
    result = ship(run, folder, track, workers=workers, notes=said, **kept)
    console.write(str(result))
    console.write(str(folder))


@app.command(name="table")
def baselines_table(*, write: tuple[Path, ...] = (), measure: bool = False) -> None:
    """Print the table of the repository's weights: scores, floors, sizes and speed.

    Parameters
    ----------
    write
        Text to put the table into, between <!-- baselines --> and <!-- /baselines -->; again for
        more.
    measure
        Measure the speed of the networks here, and keep it beside the weights.
    """
    from hand_baselines import overview

    if measure:
        console.note(str(overview.measure_speed()))
    text = overview.table()
    for path in write:
        overview.put(path, "baselines", text)
        console.note(str(path))
    if not write:
        console.write(text)


@app.command(name="bench")
def baselines_bench(
    name: str,
    /,
    *,
    preset: str = "small",
    batch: tuple[int, ...] = (1, 16),
    precision: tuple[Literal["fp32", "fp16", "bf16"], ...] = ("fp32",),
    threads: int = 0,
    device: str | None = None,
    data: str | None = None,
    workers: tuple[int, ...] = (1,),
    json: bool = False,
) -> None:
    """Measure a network: parameters, operations, latency, throughput and peak memory.

    Parameters
    ----------
    name
        Model.
    preset
        Its configuration.
    batch, precision
        What is measured, one row for each pair.
    threads
        Of a processor; 0: torch's own choice.
    device
        cpu, cuda, ...; default: the best one.
    data
        Also measure how fast pictures of this track become training samples.
    workers
        Processes that read pictures, one row for each number.
    json
        One JSON object instead of a table.
    """
    from hand_baselines.models import find_model
    from hand_baselines.timing import measure, measure_loading

    model = find_model(name)
    found = measure(model, preset, batch, precision, threads=threads, device=device)
    if data is not None:
        found["loading"] = measure_loading(model, preset, data, workers)
    if json:
        console.write_json(found)
        return
    sample = model.task().measured or model.task().sample
    console.write(
        f"{name} {preset}: {found['parameters']:,} parameters, "
        f"{found['gflops']:.2f} GFLOP a {sample}, {found['device']}"
    )
    numbers = ("batch", "ms a batch", f"{sample}s/s", "peak MB")
    table = console.table("", "precision", *numbers, right=numbers)
    for row in found["rows"]:
        memory = "n/a" if row["peak_mb"] is None else f"{row['peak_mb']:,.0f}"
        cells = (str(row["batch"]), f"{row['ms']:.1f}", f"{row['images_per_second']:.1f}", memory)
        table.add_row(row["precision"], *cells)
    console.out().print(table)
    for row in found.get("loading", ()):
        said = f"{row['samples_per_second']:,.0f} samples/s are made of pictures"
        console.write(f"{said} with {row['workers']} workers")
