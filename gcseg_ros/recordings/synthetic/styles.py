"""Style families: what a room is for, how big it is, what it is made of, how it is lit and which sensor sees it."""

from __future__ import annotations

from dataclasses import dataclass, field

DARK_WOODS = ("walnut", "teak", "ebony", "red", "cherry")
LIGHT_WOODS = ("oak", "pine", "beech", "bamboo", "grey")
ALL_WOODS = ("oak", "pine", "walnut", "cherry", "beech", "teak", "grey", "orange", "white", "red")


@dataclass(frozen=True)
class Style:
    """One family of rooms.

    programs   names of the furnishing programs (see programs.py), one is drawn
    area_m2    range of the floor's area             height_m  range of the ceiling's height
    shapes     outlines: rectangle, l, t, niche, cut, corridor
    palette    white, grey, warm, cool, vivid, dark, pastel, hue (one hue a room), any
    white_furniture, ceiling, columns: shares in 0..1; clutter: how much of it, 1 as usual
    patterned: whether fabrics may have patterns
    vaults: share of rooms whose ceiling may be one instance with the walls
    designs    family -> names of designs; families that are not named use the training designs
    """

    name: str
    programs: tuple[str, ...]
    area_m2: tuple[float, float] = (14, 40)
    height_m: tuple[float, float] = (2.4, 3.0)
    shapes: tuple[str, ...] = ("rectangle", "rectangle", "l", "niche", "cut")
    palette: str = "any"
    woods: tuple[str, ...] = ALL_WOODS
    walls: tuple[str, ...] = ("white", "white", "tinted", "plaster")
    floors: tuple[str, ...] = ("planks", "parquet", "tiles", "carpet")
    lights: tuple[str, ...] = ("lamp", "daylight", "flat", "simulator")
    sensors: tuple[str, ...] = ("kinect", "kinect", "realsense", "lidar", "ideal", "xtion")
    white_furniture: float = 0.25
    patterned: bool = True
    clutter: float = 1.0
    ceiling: float = 0.85
    vaults: float = 0.5
    columns: float = 0.1
    designs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    held_out: bool = False


_ALL = (
    Style("house", ("living",), (28, 70), palette="any", floors=("planks",), walls=("white",), lights=("simulator", "flat"), ceiling=0.4, white_furniture=0.4),
    Style("living", ("living",), palette="any", walls=("white", "tinted", "plaster", "paper", "stripes")),
    Style("scandinavian", ("living", "bedroom", "dining"), palette="pastel", woods=LIGHT_WOODS, walls=("white",), white_furniture=0.55, lights=("daylight", "flat")),
    Style("classic", ("living", "dining", "study"), palette="warm", woods=DARK_WOODS, walls=("paper", "stripes", "strong", "panels"), floors=("parquet", "planks", "carpet"), white_furniture=0.05),
    Style("bedroom", ("bedroom",), (10, 26), palette="any", walls=("white", "tinted", "paper", "plaster")),
    Style("white_bedroom", ("bedroom",), (12, 28), palette="white", walls=("white", "white", "tinted"), white_furniture=0.75, floors=("planks", "carpet")),
    Style("children", ("children",), (10, 22), palette="vivid", walls=("tinted", "paper", "strong", "white"), clutter=2.0, white_furniture=0.4),
    Style("kitchen", ("kitchen",), (10, 28), palette="any", walls=("white", "tiles", "tinted"), floors=("tiles", "bands", "planks", "stone"), clutter=1.5),
    Style("dining", ("dining", "kitchen"), palette="hue", walls=("white", "tinted", "plaster", "bricks")),
    Style("office", ("office",), (12, 40), palette="grey", walls=("white", "grey", "plaster"), floors=("carpet", "bands", "plain", "planks"), white_furniture=0.5, patterned=False),
    Style("open_plan", ("open_plan",), (60, 150), (2.6, 3.6), shapes=("rectangle", "l", "cut"), palette="any", walls=("ridges", "white", "plaster", "grey"), floors=("carpet", "bands", "stone", "plain"), columns=0.5, white_furniture=0.35),
    Style("lounge", ("lounge",), (30, 100), (2.6, 3.6), palette="grey", walls=("ridges", "ridges", "white", "plaster", "bricks"), floors=("carpet", "stone", "planks", "plain"), lights=("simulator", "flat", "lamp"), columns=0.3),
    Style("meeting", ("meeting",), (16, 50), palette="cool", walls=("white", "grey", "tinted"), floors=("carpet", "planks", "bands"), patterned=False),
    Style("classroom", ("classroom",), (35, 80), (2.8, 3.4), palette="any", walls=("tinted", "white", "bricks"), floors=("plain", "tiles", "planks"), patterned=False),
    Style("studio", ("studio",), (28, 60), palette="any", walls=("bricks", "white", "concrete", "plaster"), shapes=("l", "t", "niche", "rectangle"), clutter=1.4),
    Style("bathroom", ("bathroom",), (5, 14), palette="pastel", walls=("tiles", "tiles", "white", "stone_wall"), floors=("tiles", "chess", "stone"), white_furniture=0.7, columns=0.0),
    Style("workshop", ("workshop",), (20, 60), (2.6, 4.0), palette="any", walls=("concrete", "bricks", "white", "grey"), floors=("concrete", "plain", "planks"), clutter=1.8, patterned=False, columns=0.2),
    Style("storage", ("storage",), (16, 80), (2.6, 4.5), palette="any", walls=("concrete", "white", "grey", "panels"), floors=("concrete", "plain"), patterned=False, clutter=1.5, columns=0.3),
    Style("gym", ("gym",), (25, 70), (2.6, 3.6), palette="dark", walls=("white", "bricks", "strong", "grey"), floors=("plain", "planks", "carpet"), patterned=False),
    Style("library", ("library",), (20, 60), (2.6, 3.6), palette="warm", woods=DARK_WOODS, walls=("panels", "tinted", "white"), floors=("parquet", "carpet", "planks")),
    Style("hallway", ("hallway",), (10, 26), shapes=("corridor", "l", "corridor"), palette="any", walls=("white", "tinted", "paper", "stripes"), floors=("tiles", "planks", "stone", "carpet")),
    Style("random", ("jumble",), (12, 60), palette="any", walls=("white", "tinted", "grey", "strong", "plaster", "ridges", "bricks", "tiles", "stripes", "paper", "panels", "concrete"), floors=("planks", "parquet", "tiles", "chess", "stone", "carpet", "bands", "plain", "concrete"), clutter=1.5),
    Style("invented", ("inventions",), (12, 50), palette="any", walls=("white", "tinted", "grey", "strong", "plaster", "ridges", "bricks", "tiles", "stripes", "paper", "panels", "concrete"), floors=("planks", "parquet", "tiles", "chess", "stone", "carpet", "bands", "plain", "concrete"), clutter=1.3),
    Style("invented_plain", ("inventions",), (10, 40), palette="grey", walls=("white", "grey", "tinted"), floors=("plain", "planks", "carpet", "concrete"), white_furniture=0.6, patterned=False, clutter=1.2),
    Style("invented_tone", ("inventions", "jumble"), (12, 40), palette="hue", walls=("tinted", "strong", "paper", "panels", "white"), floors=("planks", "carpet", "parquet", "tiles"), clutter=1.6),
    Style("invented_hall", ("inventions", "jumble"), (35, 90), (2.6, 4.2), palette="vivid", walls=("white", "concrete", "bricks", "ridges", "grey"), floors=("concrete", "stone", "plain", "tiles"), columns=0.3),
    Style("demo", ("living",), (26, 34), shapes=("rectangle", "l"), palette="warm", woods=("oak", "walnut"), walls=("white", "tinted"), floors=("planks", "parquet"), lights=("daylight",), sensors=("kinect",), ceiling=0.0, clutter=0.75, columns=0.0, designs={"chair": ("wooden_chair", "upholstered_chair", "shell_chair")}),
    Style("cafe", ("cafe",), (25, 60), (2.7, 3.6), palette="any", walls=("chevron", "bricks", "strong", "hexagons"), floors=("hexagons", "chess", "planks"), clutter=1.3, held_out=True),
    Style("nursery", ("nursery",), (10, 20), palette="pastel", walls=("chevron", "hexagons", "white"), floors=("carpet", "planks", "hexagons"), clutter=1.6, white_furniture=0.5, held_out=True),
    Style("garage", ("garage",), (18, 40), (2.3, 3.2), palette="any", walls=("concrete", "white", "bricks"), floors=("concrete", "hexagons", "plain"), clutter=1.6, patterned=False, held_out=True),
    Style("music", ("music",), (20, 50), (2.5, 3.5), palette="warm", walls=("chevron", "panels", "strong", "white"), floors=("chevron", "parquet", "carpet"), held_out=True),
    Style("laboratory", ("laboratory",), (20, 55), (2.6, 3.4), palette="white", walls=("white", "hexagons", "grey"), floors=("plain", "hexagons", "tiles"), clutter=1.5, white_furniture=0.6, patterned=False, held_out=True),
)  # fmt: skip

STYLES: dict[str, Style] = {style.name: style for style in _ALL}
TRAINING_STYLES: tuple[str, ...] = tuple(s.name for s in _ALL if not s.held_out and s.name != "demo")
HELD_OUT_STYLES: tuple[str, ...] = tuple(s.name for s in _ALL if s.held_out)
INVENTED_STYLES: tuple[str, ...] = tuple(name for name in TRAINING_STYLES if name.startswith("invented"))
