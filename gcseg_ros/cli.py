"""`gcseg`: the command line. Commands import what they need when they run, so that help comes at once."""

from __future__ import annotations

import gcseg_ros.quiet_start  # noqa: F401 - first: what is imported below takes a moment

# isort: split
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from gcseg_ros import __version__
from gcseg_ros.commands.endings import INTERRUPTED, Signals, ended
from gcseg_ros.commands.query import query
from gcseg_ros.commands.weights import app as weights
from gcseg_ros.consoles import console, errors, print_line, print_table, progress
from gcseg_ros.errors import UserError

app = typer.Typer(
    help="Class-agnostic 3D instance maps from posed RGB-D video.",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
    pretty_exceptions_enable=False,
)

UpAxis = Annotated[
    Literal["x", "-x", "y", "-y", "z", "-z"], typer.Option("--up", help="The cloud's axis that points up (ARKit: y).")
]
RecordingPath = Annotated[
    str,
    typer.Argument(
        metavar="RECORDING", help="A folder, a bag or synthetic:SEED[:STYLE[:FRAMES]]; the format is recognised."
    ),
]
Poses = Annotated[str | None, typer.Option("--poses", metavar="NAME", help="Other poses, for example pose_noisy.")]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="NAME=VALUE", help="What the format takes, for example depth_topic=/camera/depth/image_raw."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PART.NAME=VALUE", help="One setting, for example tracking.keyframe_stride=10."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings as YAML; see gcseg config.")
]
Overwrite = Annotated[bool, typer.Option(help="Replace an earlier result of gcseg; nothing else is ever replaced.")]


def main(arguments: list[str] | None = None) -> int:
    """Run `gcseg` with these arguments (default: the process's): the exit status. Failures are one sentence on stderr."""
    own_process = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    for stream in (sys.stdout, sys.stderr):  # a terminal may be without UTF-8, and a file's name is of any bytes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # before numpy is imported: its matrices are small here, and more threads only wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with Signals() as signals:

        def command() -> Any:
            status = app(arguments, prog_name="gcseg", standalone_mode=False, obj=signals)
            if sys.stdout is not None and not signals.status:  # it is None where the caller has closed it
                sys.stdout.flush()
            return status

        status = ended(signals, command, lambda sentence: print_line(f"gcseg: {sentence}", "red", errors), debug)
        if own_process and signals.status:
            with contextlib.suppress(OSError):  # of a reader that is gone
                print(end="", flush=True)
            os._exit(status)  # Python's own end crashes where a compiled package was cut off while it was imported
        return status


@app.callback(invoke_without_command=True)
def gcseg(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    if sys.platform == "win32":
        raise UserError("gcseg_ros runs on Linux, not on Windows itself: install it within WSL.")
    if version:
        print(f"gcseg_ros {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command("map")
def map_(
    context: typer.Context,
    recording: RecordingPath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="The folder to write.")],
    config: ConfigFile = None,
    settings: Settings = None,
    masks: Annotated[
        Literal["geometric", "learned", "sam", "sam2"] | None, typer.Option(help="Short for --set masks.generator=...")
    ] = None,
    propagation: Annotated[
        Literal["reprojection", "sam2"] | None, typer.Option(help="Short for --set propagation.method=...")
    ] = None,
    poses: Poses = None,
    options: Options = None,
    frames: Annotated[str | None, typer.Option(metavar="A:B[:STEP]", help="Only these frames, counted from 0.")] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N frames.")] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Go on from this earlier result, in the same world frame.")
    ] = None,
    state: Annotated[bool, typer.Option(help="Write state.npz, which --resume needs.")] = True,
    overwrite: Overwrite = True,
) -> int:
    """Map a recording into instances: OUT gets instances.ply, instances.json, labels/, picture.png, views.npz, state.npz, summary.json.

    Ctrl-C finishes the map of the frames so far; a second one aborts and leaves nothing behind.
    """
    from gcseg_ros.config import load_config
    from gcseg_ros.files import resolved
    from gcseg_ros.output import check_replaceable
    from gcseg_ros.recordings import open_recording

    chosen = _frames(frames, max_frames)
    short = {"masks.generator": masks, "propagation.method": propagation}
    given = [f"{name}={value}" for name, value in short.items() if value]
    loaded = load_config(config, [*given, *(settings or [])])
    check_replaceable(resolved(output), overwrite)
    source = open_recording(recording, **_options(poses, options))

    from gcseg_ros.run import map_recording

    total = len(range(*chosen.indices(len(source))))
    signals: Signals = context.obj
    with signals.patient(), progress("mapping", total, "frames") as advance:
        try:
            _, summary = map_recording(
                source, output, loaded, chosen, overwrite, resume, state, advance, signals.interrupted
            )
        except MemoryError:
            raise UserError(
                "Out of memory: map fewer frames (--max-frames) or larger voxels (--set map.voxel_m=0.05)."
            ) from None
    print_line(
        f"{summary['instances']} instances from {summary['frames']} frames in {summary['wall_seconds']:.1f} s "
        f"({summary['frames_per_second']:.1f} frames/s, {summary['peak_memory_mb']:.0f} MB): {output}"
    )
    for note in summary["notes"]:
        print_line(note)
    for sentence in source.left_out(sum(source.skipped.values()) + summary["frames"]):
        print_line(sentence, to=errors)
    if not summary["complete"]:
        print_line(
            f"Interrupted: {output} holds the map of the first {summary['frames']} of {total} frames.", to=errors
        )
        return INTERRUPTED
    return 0


@app.command()
def evaluate(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A folder of gcseg map, or a labelled cloud.")],
    truth: Annotated[Path, typer.Option(metavar="GT", help="NPZ, PLY, or the folder of a scene with its truth.")],
    exclude_stuff: Annotated[bool, typer.Option("--exclude-stuff", help="Leave out walls, floor and ceiling.")] = False,
    stuff_labels: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Labels of stuff where the truth's ids are label x 1000 + number (ScanNet)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Average precision against the truth, by ScanNet's protocol, class-agnostic."""
    from gcseg_ros.evaluation import report

    result = report.evaluate(output, truth, exclude_stuff or stuff_labels is not None, report.labels_of(stuff_labels))
    if as_json:
        print(json.dumps(result.to_dict(), indent=2))
    else:
        print_table(report.table(result))
    if result.remark:
        print_line(result.remark, "yellow", errors)


@app.command()
def view(
    output: Annotated[Path, typer.Argument(metavar="OUT", help="A folder of gcseg map, or a PLY of gcseg segment.")],
    rrd: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a recording for the rerun viewer.")] = None,
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a picture.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page in 3D for any browser, without a server.")
    ] = None,
    up: UpAxis = "z",
) -> None:
    """Show the objects of a map: as a table, a picture (--png) or in 3D (--html, --rrd)."""
    from gcseg_ros.files import resolved
    from gcseg_ros.instances.export import read_instance_map, read_labelled
    from gcseg_ros.output import PICTURE, check_own_file

    wanted = [file for file in (png, rrd, html) if file]
    if len(set(map(resolved, wanted))) < len(wanted):
        raise UserError("A picture, a page and a recording are files of their own: give each another name.")
    for file in wanted:
        if file is not png or resolved(file) != resolved(output / PICTURE):
            check_own_file(file, [output, output / "instances.ply", output / "instances.json"])
    if up != "z" and output.is_dir():
        raise UserError(
            f"--up turns a PLY, and {output} is a folder: give {output / 'instances.ply'} to look at it so."
        )
    instances = read_labelled(output, up) if output.is_file() else read_instance_map(output)
    if png:
        from gcseg_ros.viewer.picture import write_picture

        write_picture(instances, png)
        print_line(f"Wrote {png}.")
    if rrd:
        from gcseg_ros.viewer.rerun import write_rrd

        write_rrd(instances, rrd)
        print_line(f"Wrote {rrd}: open it with `rerun --bind 127.0.0.1 {rrd}`.")
    if html:
        from gcseg_ros.viewer.page import write_page

        write_page(instances, html, output.resolve().name)
        print_line(f"Wrote {html}: open it in a browser.")
    if not (png or rrd or html):
        from gcseg_ros.viewer.table import objects_table

        print_table(objects_table(instances.objects))


@app.command()
def segment(
    cloud: Annotated[Path, typer.Argument(metavar="CLOUD", help="Any PLY file, or a folder of gcseg map.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT.ply", help="The labelled cloud to write.")],
    checkpoint: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Of gcseg_ros, Mask3D or Segment3D; default: the shipped one."),
    ] = None,
    segments: Annotated[
        Literal["off", "snap", "join"] | None,
        typer.Option(
            help="Masks from whole pieces of surface: each snapped to them, or these joined. Default: the checkpoint's."
        ),
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(metavar="S", help="Leave out instances scored below (0 to 1).")
    ] = None,
    up: UpAxis = "z",
    device: Annotated[str | None, typer.Option(metavar="cpu|cuda", help="Default: a GPU where there is one.")] = None,
) -> None:
    """Segment a cloud into instances with the 3D network, in one pass: OUT.ply, and a picture OUT.png."""
    from gcseg_ros.commands.segment import segment_file

    with errors.status("segmenting"):
        wanted = {"segments": segments, "min_score": min_score}
        changes = {name: value for name, value in wanted.items() if value is not None}
        result, remark = segment_file(cloud, output, checkpoint, changes, device, up)
    print_line(f"{len(result.objects)} instances: {output}")
    if remark:
        print_line(remark, "yellow", errors)


@app.command()
def bag(
    recording: RecordingPath,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BAG", help="The rosbag2 folder to write.")],
    storage: Annotated[Literal["mcap", "sqlite3"], typer.Option(help="The bag's storage.")] = "mcap",
    compressed: Annotated[bool, typer.Option("--compressed", help="PNG images: smaller, slower.")] = False,
    poses: Poses = None,
    options: Options = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier bag.")] = False,
) -> None:
    """Write a recording as a rosbag2, with the topics that the mapping node takes."""
    from gcseg_ros.recordings import open_recording
    from gcseg_ros.recordings.bag_writer import write_bag

    source = open_recording(recording, **_options(poses, options))
    with progress("writing", unit="frames") as advance:
        count = write_bag(source, output, storage, compressed, overwrite, advance)
    print_line(f"{count} frames: {output}")


@app.command()
def synthesize(
    spec: Annotated[
        str, typer.Argument(metavar="SPEC", help="synthetic:SEED[:STYLE[:FRAMES]], for example synthetic:7:demo.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The folder to write.")],
) -> None:
    """Write a generated room as an RGB-D recording with its exact truth, in ScanNet's layout."""
    from gcseg_ros.recordings.synthetic import export

    with progress("rendering", unit="frames") as advance:
        export(spec, output, progress=advance)
    print_line(f"Wrote {output}.")


@app.command("config")
def config_(
    markdown: Annotated[bool, typer.Option("--markdown", help="As docs/configuration.md.")] = False,
) -> None:
    """Print all settings with their defaults, as YAML for --config."""
    from gcseg_ros.commands.config_docs import as_markdown, as_yaml

    print(as_markdown() if markdown else as_yaml(), end="")


@app.command()
def doctor() -> int:
    """Check this machine: what is there, what is missing, what to do about it."""
    from gcseg_ros.commands.doctor import checks, lines

    found = checks()
    for line in lines(found):
        console.print(line, soft_wrap=True)
    return 0 if all(check.ok or check.optional for check in found) else 1


app.command()(query)
app.add_typer(weights, name="weights")


def _options(poses: str | None, options: list[str] | None) -> dict[str, str | None]:
    """What `open_recording` takes beside the path."""
    from gcseg_ros.recordings import parse_options

    given = parse_options(options or [])
    return {**given, "poses": poses} if poses is not None else {**given}


def _frames(text: str | None, most: int | None) -> slice:
    """`A:B[:STEP]` and the largest number of frames -> a slice that counts up from 0, of numbers that islice takes."""
    if text is None:
        return slice(0, None if most is None else min(most, sys.maxsize), 1)
    parts = text.split(":")
    if not (len(parts) in (2, 3) and all(part.strip().isdecimal() or not part.strip() for part in parts)):
        raise UserError(f"--frames is written A:B or A:B:STEP with whole numbers from 0; found {text!r}.")
    start, stop, step = ([min(int(part), sys.maxsize) if part.strip() else None for part in parts] + [None])[:3]
    start, step = start or 0, 1 if step is None else step
    if step < 1 or (stop is not None and stop <= start):
        raise UserError(f"--frames {text} chooses no frames: A must be less than B, and STEP at least 1.")
    if most is not None:
        stop = min(stop if stop is not None else sys.maxsize, start + most * step)
    return slice(start, stop, step)


if __name__ == "__main__":
    sys.exit(main())
