"""The user's options for a target. Light: loads neither NumPy nor a layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

from acrank.errors import UsageError
from acrank.system.option_fields import Opt, check_options
from acrank.system.words import words_of

Task = Literal["classification", "multilabel", "regression", "segmentation"]
TASKS: tuple[Task, ...] = get_args(Task)
#: How files of one case that lie on different grids are put on one: by their arrays, or by their headers.
Geometry = Literal["array", "header"]
GEOMETRIES: tuple[Geometry, ...] = get_args(Geometry)
PAGES = ("first", "volume")
UNCERTAIN = ("zeros", "ones", "ignore")
MISSING_LABELS = ("skip", "keep")
CLASS_FOLDERS = ("top", "bottom")
#: What the files of a DICOM set are.
DicomKind = Literal["images", "series"]
DICOM_KINDS: tuple[DicomKind, ...] = get_args(DicomKind)
#: What is done about images that cannot be decoded: a few are left out, any number is, or none may be.
BAD_IMAGES = ("skip", "skip-all", "fail")
#: One image may always be left out, more only up to this share of those that were decoded.
BAD_SHARE = 0.05
REPLACE_ONE = "replace the file, or leave such files out: --bad-images skip"
REPLACE_MANY = "replace or remove them, or leave out any number: --bad-images skip-all"
#: What is done about a target that cannot be right.
DOUBTS = ("refuse", "warn")
#: Millimetres between the voxels of a volume, along x, y and z.
Spacing = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """The user's options for a target; each layout lists in its `USES` those that it supports.

    Attributes:
        split: the split to read, or "all" to join them; None reads "train" if the target has splits.
        task: one of `TASKS`; None infers it from the labels.
        images_key, labels_key: names of the arrays in an .npz or HDF5 file.
        image_column: the column of paths in a table.
        label_column: the column of labels in a table, or several; a string may name several, separated by commas.
        labels_file: an .npy, .npz or HDF5 file that holds the labels of the images in another one.
        image_root: the folder that a table's paths or ids are relative to; None takes the table's.
        uncertain: how label columns with blanks and -1 are read, as CheXpert has them: blanks are 0, and -1 is 0 with
            "zeros", 1 with "ones"; "ignore" leaves the images with -1 out. None refuses both.
        missing_labels: what a cell without a label in a table does, or one that says unknown, none or ?: "skip" leaves
            its image out; "keep" takes such words as classes. None refuses them.
        class_folders: which folders are classes: "top", the first ones, or "bottom", those that hold images, and the
            first ones are groups. None tells it from their names.
        group_column: the column of a table that says which images belong together, such as the patient.
        group_table: a table beside data that is no table, with a column of images and `group_column`.
        group_pattern: a regular expression that finds the group in each image's path: its first group of parentheses,
            else all that it matches.
        intensity: how values are scaled to [0, 1]: "window:LOW,HIGH", or by each image's "percentile" or "zscore". None
            means for volumes a window of -1000 to 1000 if dataset.json says CT, the full range for uint8 arrays,
            else percentiles; for images their depth, told from some of them.
        pages: what the pages of image files are: "first" reads the first, "volume" takes all as slices. None refuses
            files of several.
        dicom: what DICOM files are: "images" reads every file and frame as one, "series" every series and every file of
            several frames as a volume. None tells it from folders and headers, and says so.
        ignore_value: the value of masks at positions that count for nothing, such as "255"; "none": there is none.
        slices: for 2D networks on volumes: this many adjacent axial slices become the channels of an image (odd; see
            `acrank.targets.stores.slices`).
        spacing: millimetres along x, y and z to which volumes in files are resampled.
        geometry: what decides where a mask or a further channel lies if its header says another place than the image's:
            "array" keeps the order of the arrays, as nnU-Net does; "header" resamples it onto the image. None refuses.
        bad_images: what is done about images that cannot be decoded: "skip" leaves them out, up to one in twenty,
            "skip-all" any number, "fail" none. None is "skip".
        doubts: whether a target that cannot be right (equal images, classes named like splits, most images under
            several labels) is refused ("refuse", which None is) or warned of ("warn").
        allow_outside: whether links, and relative paths in tables, may lead outside the folder of the data.

    Raises:
        UsageError: an unknown task, an even number of slices, or a spacing that is not three positive numbers.

    Example:
        >>> TargetOptions(slices=4)
        Traceback (most recent call last):
        ...
        acrank.errors.UsageError: --slices must be odd and positive, got 4
    """

    PANEL: ClassVar = "Data"

    split: Annotated[str | None, Opt(help="Split of the target; 'all' joins them. [train]")] = None
    task: Annotated[Task | None, Opt(help="What the labels are. [inferred from the labels]", choices=TASKS)] = None
    images_key: Annotated[str | None, Opt(help="Name of the images in .npz or HDF5.")] = None
    labels_key: Annotated[str | None, Opt(help="Name of the labels, or masks, in .npz or HDF5.")] = None
    image_column: Annotated[str | None, Opt(help="Column of paths in a CSV.")] = None
    label_column: Annotated[
        tuple[str, ...] | None, Opt(help="Column of labels in a CSV, or several.", metavar="NAME,…")
    ] = None
    labels_file: Annotated[
        str | None, Opt(help="File of the labels, where images are in another (.npy, .npz, .h5).", metavar="FILE")
    ] = None
    image_root: Annotated[
        str | None, Opt(help="Folder of the images that a table names. [the table's]", metavar="DIR")
    ] = None
    uncertain: Annotated[
        Literal["zeros", "ones", "ignore"] | None,
        Opt(help="Label columns with blanks (0) and -1: what -1 is. [refused]", choices=UNCERTAIN),
    ] = None
    missing_labels: Annotated[
        Literal["skip", "keep"] | None,
        Opt(
            help="Rows labelled unknown, none or ?: skip them, or keep these as classes. [refused]",
            choices=MISSING_LABELS,
        ),
    ] = None
    class_folders: Annotated[
        Literal["top", "bottom"] | None,
        Opt(help="Which folders are classes: the first, or those of images. [by their names]", choices=CLASS_FOLDERS),
    ] = None
    group_column: Annotated[
        str | None, Opt(help="Column of groups, such as patients, kept on one side of every split.")
    ] = None
    group_table: Annotated[
        str | None, Opt(help="Table that names each image's group, for data that is no table.", metavar="FILE")
    ] = None
    group_pattern: Annotated[
        str | None, Opt(help="Regular expression that finds the group in each image's path.", metavar="REGEX")
    ] = None
    intensity: Annotated[
        str | None,
        Opt(help="window:LOW,HIGH, percentile or zscore. [CT: window:-1000,1000; volumes: percentile; images: depth]"),
    ] = None
    pages: Annotated[
        Literal["first", "volume"] | None,
        Opt(help="Image files of several pages: read the first, or all as slices. [refused]", choices=PAGES),
    ] = None
    dicom: Annotated[
        DicomKind | None,
        Opt(help="DICOM: each file and frame an image, or each series a volume. [by folders]", choices=DICOM_KINDS),
    ] = None
    ignore_value: Annotated[
        str | None, Opt(help="Masks: the value of ignored positions, or none. [asked where 255 may be one]")
    ] = None
    slices: Annotated[
        int | None,
        Opt(
            help="For 2D networks on volumes: K adjacent axial slices become the channels of an image (K odd).",
            most=999,
            metavar="K",
        ),
    ] = None
    spacing: Annotated[
        Spacing | None, Opt(help="Volumes: resample to these millimetres, such as 1,1,2.5.", most=1e4, metavar="X,Y,Z")
    ] = None
    geometry: Annotated[
        Geometry | None,
        Opt(
            help="Volumes whose mask lies elsewhere than its image: follow array or header. [refused]",
            choices=GEOMETRIES,
        ),
    ] = None
    bad_images: Annotated[
        Literal["skip", "skip-all", "fail"] | None,
        Opt(
            help="Images that cannot be decoded: leave out up to 5%, any number, or none. [skip; missing files: fail]",
            choices=BAD_IMAGES,
        ),
    ] = None
    doubts: Annotated[
        Literal["refuse", "warn"] | None,
        Opt(help="A target that cannot be right, such as equal images: refuse it or warn. [refuse]", choices=DOUBTS),
    ] = None
    allow_outside: Annotated[bool, Opt(help="Let links and relative paths of tables lead outside the data folder.")] = (
        False
    )

    def files_beside(self, data: Path) -> list[Path]:
        """The target's path, and the files and folders that these options name."""
        named = (self.labels_file, self.image_root, self.group_table)
        return [data, *(Path(name) for name in named if name is not None)]

    def __post_init__(self) -> None:
        check_options(self)
        if isinstance(self.label_column, str):
            object.__setattr__(self, "label_column", tuple(words_of([self.label_column])))
        if self.slices is not None and (self.slices < 1 or self.slices % 2 == 0):
            raise UsageError(f"--slices must be odd and positive, got {self.slices}", hint="choose 1, 3 or 5")
        if self.spacing is not None and not (len(self.spacing) == 3 and all(0 < step < 1e4 for step in self.spacing)):
            raise UsageError(
                f"--spacing needs three positive numbers, got {','.join(map(str, self.spacing))}",
                hint="give millimetres along x, y and z, such as 1,1,2.5",
            )


def too_many_bad(count: int, looked: int, rule: str) -> bool:
    """Whether more images are damaged than `rule`, one of `BAD_IMAGES`, lets a target do without.

    >>> too_many_bad(1, 3, "skip"), too_many_bad(3, 59, "skip"), too_many_bad(3, 59, "skip-all")
    (False, True, False)
    """
    return rule != "skip-all" and count > (max(1, BAD_SHARE * looked) if rule == "skip" else 0)
