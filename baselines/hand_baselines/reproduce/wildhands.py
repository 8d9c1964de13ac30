"""The tables of WildHands: what each cell is trained on.

Source: Prakash et al., 3D Hand Pose Estimation in Everyday Egocentric Images, ECCV 2024, Tables 1
to 6 (facts/wildhands.md 4, 6). Zero-shot: no cell is trained on the dataset of its column. With
labels in 3D the look-alikes of ARCTIC and AssemblyHands are trained on; with masks and grasps those
of Epic-HandKps (in the place of VISOR's) and of Ego4D.
"""

from __future__ import annotations

from collections.abc import Sequence

from hand_baselines.reproduce.sizes import SIZES
from hand_baselines.reproduce.tables import Column, PaperTable, Row
from hand_baselines.reproduce.trainings import Training

PAPER = "Prakash et al. 2024"
ARCTIC, ASSEMBLY = "handsim-arctic-ego", "handsim-assemblyhands"
EPIC, EGO4D = "handsim-epic-handkps", "handsim-ego4d"
#: Table 1's D: in 3D; with masks and grasps.
SOLID, FLAT = (ARCTIC, ASSEMBLY), (EPIC, EGO4D)

#: On H2O's test table, where the paper takes the validation frames: WildHands' own protocol is
#: none of its, so the mean of H2O's hands leaves out the aligned wrist.
COLUMNS = (
    Column("H2O MPJPE", "H2O MPJPE", "handsim-h2o-pose", "MPJPE", "recommended", "MPJPE"),
    Column("H2O MRRPE", "H2O MRRPE", "handsim-h2o-pose", "MRRPE", "recommended", "MRRPE"),
    Column("Assembly MPJPE", "Assembly MPJPE", ASSEMBLY, "MPJPE", "wildhands", "MPJPE"),
    Column("Assembly MRRPE", "Assembly MRRPE", ASSEMBLY, "MRRPE", "wildhands", "MRRPE"),
    Column(
        "Ego-Exo4D MPJPE", "Ego-Exo4D MPJPE", "handsim-egoexo4d-hand", "MPJPE", "wildhands", "MPJPE"
    ),
    Column("Epic-HandKps L2 Error", "Epic L2", EPIC, "L2 error 2D", "wildhands", "L2 error 2D"),
)
GIVEN = "Never trained on the dataset of the column. Boxes and intrinsics are the annotations' own."
TRAINED_ON = (
    "Trained on HandSim's look-alikes of ARCTIC and AssemblyHands (3D) and of Epic-HandKps and "
    f"Ego4D (masks and grasps; the paper's D has EPIC's alone). {GIVEN}"
)
NOTES = (
    f"{TRAINED_ON} H2O: the test table, `recommended`; the other columns are `wildhands`, as the "
    "paper's."
)


def _row(
    name: str,
    model: str,
    config: Sequence[str] = (),
    *,
    label: str = "",
    solid: tuple[str, ...] = SOLID,
    flat: tuple[str, ...] = FLAT,
    backbone: str | None = "backbone-small",
) -> Row:
    """Return a row; its dataset of a column is never trained on.

    Where that leaves nothing of the pictures without 3D labels that the row is about, the cell is a
    dash, as in the paper.
    """

    def training(column: Column) -> Training | None:
        data = tuple(one for one in (*solid, *flat) if one != column.track)
        if flat and not set(flat) & set(data):
            return None
        return Training(model, data, config=tuple(config), backbone=backbone)

    return Row(name, label or name, training)


def _table(
    number: int,
    title: str,
    rows: tuple[Row, ...],
    pairs: tuple[tuple[str, str], ...],
    columns: tuple[Column, ...] = COLUMNS,
) -> PaperTable:
    of = f"Table {number}"
    name = f"wildhands-table{number}"
    return PaperTable(name, PAPER, of, title, columns, rows, pairs, SIZES, NOTES)


def _against(reference: str, rows: tuple[Row, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((row.name, reference) for row in rows if row.name != reference)


_TABLE_1 = (
    _row("ArcticNet-SF", "arcticnet"),
    _row("HandNet", "handnet"),
    _row("WildHands", "wildhands"),
)
_TABLE_2 = (
    _row("HandOccNet [51]", "handoccnet", ["kpe=false"], label="HandOccNet"),
    _row("HandOccNet + KPE", "handoccnet", ["kpe=true"]),
    # A transformer has no such backbone.
    _row("HaMeR [52] (ViT)", "hamer", ["kpe=false"], label="HaMeR (ViT)", backbone=None),
    _row("HaMeR (ViT) + KPE", "hamer", ["kpe=true"], backbone=None),
)
_TABLE_3 = (
    _row("Wildhands (no aux)", "wildhands", label="WildHands (no aux)", flat=()),
    _row("+ EPIC grasp", "wildhands", ["auxiliary=grasp"], flat=(EPIC,)),
    _row("+ EPIC mask", "wildhands", ["auxiliary=mask"], flat=(EPIC,)),
    _row("+ EPIC grasp + EPIC mask", "wildhands", flat=(EPIC,)),
    _row("+ Ego4D grasp", "wildhands", ["auxiliary=grasp"], flat=(EGO4D,)),
    _row("+ Ego4D mask", "wildhands", ["auxiliary=mask"], flat=(EGO4D,)),
    _row("+ Ego4D grasp + Ego4D mask", "wildhands", flat=(EGO4D,)),
)
# As released: encodings come with the picture's own features, corrections do not.
_TABLE_4 = (
    _row("CamConv", "wildhands", ["encoding=camconv"]),
    _row("Perspective Corr.", "handnet", ["correction=rotation"], label="Perspective correction"),
    _row("PCL [76]", "handnet", ["correction=pcl"], label="PCL"),
    _row("KPE (WildHands)", "wildhands"),
)
_TABLE_5 = (
    _row("no KPE", "handnet"),
    _row("KPE w/ input", "wildhands", ["encoding=sparse-input"], label="KPE with the input"),
    _row("KPE no intrx", "wildhands", ["encoding=focal"], label="KPE without intrinsics"),
    _row("KPE dense", "wildhands", ["encoding=dense"]),
    _row("KPE sparse", "wildhands"),
)
_TABLE_6 = (
    _row("ARCTIC", "wildhands", solid=(ARCTIC,), flat=()),
    _row("ARCTIC + Assembly", "wildhands", flat=()),
    _row("ARCTIC + Assembly + Ego4D (aux)", "wildhands", flat=(EGO4D,)),
)
_ONE_AUXILIARY = (
    *((_TABLE_3[0].name, row.name) for row in _TABLE_3[1:]),
    *((_TABLE_3[k].name, _TABLE_3[k + 1].name) for k in (1, 4)),
)
TABLES = {
    table.name: table
    for table in (
        _table(
            1,
            "Crops, and where they are",
            _TABLE_1,
            (("ArcticNet-SF", "HandNet"), ("HandNet", "WildHands"), ("ArcticNet-SF", "WildHands")),
        ),
        _table(
            2,
            "KPE in transformers",
            _TABLE_2,
            tuple((_TABLE_2[k].name, _TABLE_2[k + 1].name) for k in (0, 2)),
        ),
        _table(3, "Masks and grasps of pictures without 3D labels", _TABLE_3, _ONE_AUXILIARY),
        _table(
            4, "KPE and what it is compared to", _TABLE_4, _against("KPE (WildHands)", _TABLE_4)
        ),
        _table(5, "What KPE is made of", _TABLE_5, _against("KPE sparse", _TABLE_5)),
        _table(
            6,
            "More training sets",
            _TABLE_6,
            tuple((_TABLE_6[k].name, _TABLE_6[k + 1].name) for k in (0, 1)),
            tuple(column for column in COLUMNS if column.track != ASSEMBLY),
        ),
    )
}
