"""`Look`: the materials that one room draws from, so that a room's furniture agrees (or clashes) the way real rooms do."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from gcseg_ros.recordings.synthetic import materials as m
from gcseg_ros.recordings.synthetic.materials import Colour, Material
from gcseg_ros.recordings.synthetic.styles import Style

T = TypeVar("T")

WOODS: dict[str, tuple[Colour, Colour]] = {
    "oak": ((0.72, 0.56, 0.37), (0.60, 0.44, 0.27)),
    "pine": ((0.86, 0.74, 0.53), (0.76, 0.62, 0.40)),
    "walnut": ((0.38, 0.25, 0.16), (0.27, 0.17, 0.10)),
    "cherry": ((0.62, 0.34, 0.20), (0.50, 0.26, 0.14)),
    "beech": ((0.80, 0.62, 0.44), (0.72, 0.53, 0.36)),
    "teak": ((0.56, 0.37, 0.20), (0.43, 0.27, 0.13)),
    "ebony": ((0.16, 0.12, 0.10), (0.10, 0.07, 0.06)),
    "grey": ((0.56, 0.53, 0.49), (0.46, 0.43, 0.39)),
    "orange": ((0.78, 0.50, 0.24), (0.69, 0.41, 0.18)),
    "white": ((0.88, 0.87, 0.84), (0.83, 0.82, 0.79)),
    "red": ((0.47, 0.20, 0.13), (0.37, 0.14, 0.09)),
    "bamboo": ((0.83, 0.73, 0.44), (0.74, 0.62, 0.34)),
}


def hsv(hue: float, saturation: float, value: float) -> Colour:
    return colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))


def dim(colour: Colour, factor: float) -> Colour:
    """Darker below 1, lighter above."""
    return tuple(min(max(c * factor, 0.0), 1.0) for c in colour)  # type: ignore[return-value]


class Look:
    """A random source and a style's materials; most choices are made once a room, some once an object."""

    def __init__(self, rng: np.random.Generator, style: Style) -> None:
        self.rng = rng
        self.style = style
        self.base_hue = rng.random()
        # in some rooms all paint and cloth have nearly the colour of the walls: only depth tells things apart
        self.tone: Colour | None = None
        if self.chance(0.14):
            self.tone = self.choose(
                (self.white(), self.grey(), hsv(rng.random(), 0.2, 0.8), hsv(rng.random(), 0.5, 0.5))
            )
        self.room_woods = [self.choose(style.woods) for _ in range(int(rng.integers(1, 4)))]
        self.room_metal = self.choose(("chrome", "black", "white", "brass", "grey"))
        self.accents = [self.colour() for _ in range(3)]
        self.fabrics = [self.new_fabric() for _ in range(3)]

    # --- chance ---

    def choose(self, options: Sequence[T]) -> T:
        return options[int(self.rng.integers(len(options)))]

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        """Uniform integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def seed(self) -> int:
        return int(self.rng.integers(1, 1000))

    # --- colours ---

    def colour(self) -> Colour:
        """An accent from the style's palette."""
        if self.tone is not None:
            return dim(self.tone, self.between(0.94, 1.06))
        r, palette = self.rng, self.style.palette
        if palette == "white":
            return dim((1, 1, 1), self.between(0.75, 0.97)) if r.random() < 0.6 else self.grey()
        if palette == "grey":
            return self.grey() if r.random() < 0.7 else hsv(r.random(), 0.5, self.between(0.3, 0.8))
        if palette == "warm":
            return hsv(self.between(0.0, 0.14), self.between(0.15, 0.7), self.between(0.35, 0.92))
        if palette == "cool":
            return hsv(self.between(0.45, 0.68), self.between(0.1, 0.6), self.between(0.25, 0.9))
        if palette == "vivid":
            return hsv(r.random(), self.between(0.6, 1.0), self.between(0.45, 1.0))
        if palette == "dark":
            return hsv(r.random(), self.between(0.0, 0.5), self.between(0.05, 0.35))
        if palette == "pastel":
            return hsv(r.random(), self.between(0.1, 0.3), self.between(0.8, 0.97))
        if palette == "hue":
            return hsv(self.base_hue + self.between(-0.06, 0.06), self.between(0.1, 0.8), self.between(0.2, 0.95))
        return hsv(r.random(), self.between(0.0, 0.9), self.between(0.08, 0.97))

    def any_colour(self) -> Colour:
        """Small things come in all colours."""
        pick = self.rng.random()
        if pick < 0.25:
            return self.grey()
        if pick < 0.4:
            return dim((1, 1, 1), self.between(0.8, 1.0))
        return hsv(self.rng.random(), self.between(0.25, 1), self.between(0.2, 1))

    def grey(self) -> Colour:
        value = self.between(0.06, 0.92)
        tint = self.rng.uniform(-0.02, 0.02, 3)
        return tuple(float(np.clip(value + t, 0, 1)) for t in tint)  # type: ignore[return-value]

    def accent(self) -> Colour:
        return self.choose(self.accents)

    def white(self) -> Colour:
        if self.tone is not None and self.chance(0.6):
            return dim(self.tone, self.between(0.97, 1.03))
        value = self.between(0.82, 0.97)
        return value, value * self.between(0.97, 1.0), value * self.between(0.92, 1.0)

    # --- materials ---

    def wood(self, name: str | None = None) -> Material:
        name = name or self.choose(self.room_woods)
        first, second = WOODS[name]
        tone = self.between(0.85, 1.12)
        return Material(
            m.WOOD,
            dim(first, tone),
            dim(second, tone),
            period_m=self.between(0.12, 0.3),
            contrast=self.between(0.3, 1.0),
            gloss=self.choose((0, 0, 0.1, 0.3)),
            seed=self.seed(),
        )

    def paint(self, colour: Colour | None = None) -> Material:
        """A plain painted or lacquered surface."""
        return Material(m.PLAIN, colour or self.accent(), gloss=self.choose((0, 0, 0.1, 0.35)))

    def plastic(self, colour: Colour | None = None) -> Material:
        return Material(m.PLAIN, colour or self.any_colour(), gloss=self.between(0.05, 0.5))

    def metal(self, kind: str | None = None) -> Material:
        kind = kind or self.room_metal
        if kind == "chrome":
            value = self.between(0.55, 0.8)
            return Material(
                m.BRUSHED,
                (value, value, value),
                (value * 0.6,) * 3,
                period_m=0.05,
                gloss=0.9,
                mirror=0.12,
                hole=0.12,
            )
        if kind == "brass":
            return Material(m.PLAIN, (0.72, 0.57, 0.28), gloss=0.8)
        if kind == "steel":
            value = self.between(0.5, 0.75)
            return Material(
                m.BRUSHED, (value, value, value * 1.01), (value * 0.8,) * 3, period_m=0.08, contrast=0.6, gloss=0.6
            )
        value = {"black": 0.06, "white": 0.9, "grey": self.between(0.25, 0.6)}[kind]
        return Material(m.PLAIN, (value, value, value), gloss=0.3)

    def fabric(self) -> Material:
        """One of the room's few fabrics."""
        return self.choose(self.fabrics)

    def new_fabric(self, colour: Colour | None = None) -> Material:
        first = colour or self.colour()
        kind = self.choose(
            (m.PLAIN, m.PLAIN, m.NOISE, m.WEAVE, m.STRIPES, m.CHECKS, m.FLOWERS, m.DOTS, m.DAMASK, m.CELLS, m.NOISE)
            if self.style.patterned
            else (m.PLAIN, m.PLAIN, m.NOISE, m.WEAVE)
        )
        second = dim(first, self.between(0.7, 1.25)) if self.chance(0.7) else self.colour()
        period = {m.NOISE: 0.02, m.WEAVE: 0.012}.get(kind, self.between(0.04, 0.3))
        return Material(
            kind,
            first,
            second,
            dim(second, 0.7) if self.chance(0.5) else self.colour(),
            period_m=period,
            contrast=self.between(0.25, 1.0),
            bump=self.choose((0, 0, 0.1, 0.25)),
            bump_period_m=self.between(0.02, 0.2),
            seed=self.seed(),
        )

    def leather(self, colour: Colour | None = None) -> Material:
        first = colour or self.choose(
            (
                (0.1, 0.08, 0.07),
                (0.32, 0.18, 0.1),
                (0.9, 0.88, 0.84),
                (0.5, 0.12, 0.1),
                (0.55, 0.4, 0.26),
                self.colour(),
            )
        )
        return Material(
            m.NOISE, first, dim(first, 0.85), period_m=0.01, contrast=0.4, gloss=0.35, bump=0.1, seed=self.seed()
        )

    def stone(self) -> Material:
        first = self.choose(
            ((0.9, 0.89, 0.86), (0.15, 0.15, 0.16), (0.62, 0.6, 0.56), (0.42, 0.38, 0.35), (0.75, 0.68, 0.58))
        )
        second = dim(first, 0.6) if first[0] > 0.4 else dim(first, 2.2)
        kind = self.choose((m.MARBLE, m.SPECKLE, m.PLAIN, m.NOISE))
        period = {m.MARBLE: self.between(0.15, 0.5), m.SPECKLE: self.between(0.008, 0.05)}.get(kind, 0.05)
        return Material(
            kind,
            first,
            second,
            dim(second, 1.3),
            period,
            self.between(0.2, 1.0),
            gloss=self.between(0.1, 0.7),
            seed=self.seed(),
        )

    def glass(self) -> Material:
        return Material(m.PLAIN, (0.55, 0.65, 0.63), gloss=0.9, clear=self.between(0.55, 0.85), hole=0.8)

    def ceramic(self) -> Material:
        return Material(m.PLAIN, self.white() if self.chance(0.5) else self.any_colour(), gloss=self.between(0.2, 0.7))

    def wicker(self) -> Material:
        return Material(
            m.WEAVE,
            (0.66, 0.5, 0.3),
            (0.42, 0.29, 0.15),
            period_m=self.between(0.015, 0.035),
            bump=0.3,
            bump_period_m=0.02,
        )

    def concrete(self) -> Material:
        value = self.between(0.4, 0.7)
        return Material(
            m.NOISE,
            (value, value, value * 0.98),
            (value * 0.8,) * 3,
            period_m=self.between(0.1, 0.8),
            contrast=0.8,
            seed=self.seed(),
        )

    def cardboard(self) -> Material:
        return Material(m.NOISE, (0.68, 0.52, 0.35), (0.6, 0.45, 0.29), period_m=0.05, contrast=0.6, seed=self.seed())

    def leaf(self) -> Material:
        hue = self.between(0.2, 0.38)
        first = hsv(hue, self.between(0.4, 0.85), self.between(0.2, 0.6))
        return Material(m.NOISE, first, dim(first, 0.6), period_m=0.03, contrast=0.8, gloss=0.1, seed=self.seed())

    def printed(self) -> Material:
        """A poster, a book's cover, a packet: title, picture, lines."""
        return Material(
            m.PRINT,
            self.any_colour(),
            self.any_colour(),
            self.any_colour(),
            seed=self.seed(),
            gloss=0.2 * self.rng.random(),
        )

    def page(self) -> Material:
        return Material(m.PAGE, (0.93, 0.93, 0.9), (0.2, 0.2, 0.22), self.any_colour(), seed=self.seed())

    def screen(self) -> Material:
        if self.chance(0.55):
            return Material(m.PLAIN, (0.03, 0.03, 0.04), gloss=0.6, hole=0.35, mirror=0.04)
        return Material(
            self.choose((m.SCREEN, m.PRINT)),
            self.any_colour(),
            self.any_colour(),
            (0.95, 0.95, 0.97),
            emission=self.between(0.3, 0.9),
            hole=0.2,
            seed=self.seed(),
        )

    def body(self) -> Material:
        """What cupboards, tables and shelves are made of."""
        pick = self.rng.random()
        if pick < self.style.white_furniture:
            return self.paint(self.white())
        if pick < self.style.white_furniture + (1 - self.style.white_furniture) * 0.7:
            return self.wood()
        return self.paint(self.accent())

    def upholstery(self) -> Material:
        pick = self.rng.random()
        if pick < self.style.white_furniture:
            return Material(self.choose((m.PLAIN, m.NOISE)), self.white(), dim(self.white(), 0.9), period_m=0.02)
        if pick < 0.75:
            return self.fabric()
        return self.leather()

    def leg(self) -> Material:
        return self.wood() if self.chance(0.55) else self.metal()

    # --- walls, floors, ceilings ---

    def wall(self) -> Material:
        kind = self.choose(self.style.walls)
        white = self.white()
        tinted = self.tone or hsv(self.rng.random(), self.between(0.03, 0.3), self.between(0.55, 0.95))
        common: dict[str, Any] = {"mapping": m.WORLD, "seed": self.seed()}
        if kind == "white":
            return Material(m.PLAIN, white, **common)
        if kind == "tinted":
            return Material(m.PLAIN, tinted, **common)
        if kind == "grey":
            return Material(m.PLAIN, dim((1, 1, 1), self.between(0.4, 0.8)), **common)
        if kind == "strong":
            return Material(m.PLAIN, hsv(self.rng.random(), self.between(0.35, 0.8), self.between(0.3, 0.8)), **common)
        if kind == "plaster":
            return Material(
                m.NOISE,
                white if self.chance(0.6) else tinted,
                dim(white, 0.8),
                period_m=self.between(0.05, 1.5),
                contrast=self.between(0.2, 0.7),
                bump=self.between(0.0, 0.3),
                bump_period_m=self.between(0.02, 0.2),
                **common,
            )
        if kind == "ridges":
            return Material(
                m.RIDGES,
                white,
                dim(white, self.between(0.4, 0.8)),
                period_m=self.between(0.08, 0.35),
                bump=self.between(0.1, 0.6),
                bump_period_m=self.between(0.03, 0.12),
                **common,
            )
        if kind == "bricks":
            first = self.choose(((0.58, 0.3, 0.22), (0.7, 0.66, 0.6), (0.85, 0.84, 0.82), (0.45, 0.42, 0.4)))
            return Material(
                m.BRICKS, first, dim(first, 0.7), dim(first, 1.3), period_m=self.between(0.15, 0.3), bump=0.1, **common
            )
        if kind == "tiles":
            return Material(
                m.TILES,
                tinted,
                dim(tinted, 0.85),
                dim(tinted, 0.6),
                period_m=self.between(0.05, 0.3),
                gloss=0.4,
                **common,
            )
        if kind == "stripes":
            return Material(
                m.STRIPES,
                tinted,
                dim(tinted, 0.9),
                white,
                period_m=self.between(0.06, 0.4),
                contrast=self.between(0.3, 1),
                **common,
            )
        if kind == "paper":
            pattern = self.choose((m.FLOWERS, m.DAMASK, m.DOTS, m.CELLS))
            return Material(
                pattern,
                tinted,
                dim(tinted, self.between(0.65, 1.2)),
                self.colour(),
                period_m=self.between(0.1, 0.5),
                contrast=self.between(0.3, 1),
                **common,
            )
        if kind == "panels":
            first, second = WOODS[self.choose(self.style.woods)]
            return Material(m.PLANKS, first, second, dim(second, 0.6), period_m=self.between(0.08, 0.2), **common)
        if kind in ("hexagons", "chevron"):
            pattern = m.HEXAGONS if kind == "hexagons" else m.CHEVRON
            return Material(
                pattern,
                tinted,
                dim(tinted, self.between(0.7, 1.2)),
                self.colour(),
                period_m=self.between(0.08, 0.4),
                contrast=self.between(0.3, 1),
                **common,
            )
        concrete = self.concrete()
        return replace(concrete, mapping=m.WORLD, bump=0.08, bump_period_m=0.03)

    def floor(self) -> Material:
        kind = self.choose(self.style.floors)
        common: dict[str, Any] = {"mapping": m.WORLD, "seed": self.seed()}
        first, second = WOODS[self.choose(self.style.woods)]
        shine = self.choose((0.0, 0.0, 0.15, 0.4))
        if kind == "planks":
            return Material(
                m.PLANKS,
                first,
                second,
                dim(second, 0.5),
                period_m=self.between(0.07, 0.35),
                contrast=self.between(0.4, 1),
                gloss=shine,
                **common,
            )
        if kind == "parquet":
            return Material(
                m.HERRINGBONE, first, second, dim(second, 0.5), period_m=self.between(0.15, 0.5), gloss=shine, **common
            )
        if kind == "tiles":
            grey = self.grey() if self.chance(0.6) else self.colour()
            return Material(
                m.TILES,
                grey,
                dim(grey, 0.8),
                dim(grey, self.between(0.5, 1.5)),
                period_m=self.between(0.15, 0.8),
                gloss=shine,
                **common,
            )
        if kind == "chess":
            return Material(
                m.CHECKS,
                self.white(),
                self.choose(((0.1, 0.1, 0.1), self.colour())),
                period_m=self.between(0.4, 1.2),
                **common,
            )
        if kind == "stone":
            return replace(self.stone(), mapping=m.WORLD, period_m=self.between(0.02, 0.6))
        if kind == "carpet":
            grey = self.grey() if self.chance(0.6) else self.colour()
            return Material(
                m.NOISE,
                grey,
                dim(grey, 0.65),
                period_m=self.between(0.01, 0.3),
                contrast=self.between(0.3, 1),
                bump=0.2,
                **common,
            )
        if kind == "bands":
            grey = self.grey()
            return Material(
                m.BANDS, grey, dim(grey, 0.4), self.colour(), period_m=self.between(0.1, 0.5), bump=0.1, **common
            )
        if kind in ("hexagons", "chevron"):
            grey = self.grey() if self.chance(0.5) else self.colour()
            pattern = m.HEXAGONS if kind == "hexagons" else m.CHEVRON
            return Material(
                pattern,
                grey,
                dim(grey, self.between(0.6, 1.4)),
                dim(grey, 0.4),
                period_m=self.between(0.1, 0.5),
                gloss=shine,
                **common,
            )
        if kind == "plain":
            return Material(m.PLAIN, self.grey() if self.chance(0.5) else self.colour(), gloss=shine, **common)
        return replace(self.concrete(), mapping=m.WORLD, gloss=shine)

    def carpet(self) -> Material:
        """A rug's material."""
        pattern = self.choose(
            (m.PLAIN, m.NOISE, m.BANDS, m.STRIPES, m.CHECKS, m.DAMASK, m.FLOWERS, m.CELLS, m.DOTS, m.NOISE)
        )
        first = self.grey() if self.chance(0.4) else self.any_colour()
        second = dim(first, self.between(0.6, 1.3)) if self.chance(0.6) else self.any_colour()
        period = self.between(0.01, 0.05) if pattern == m.NOISE else self.between(0.1, 0.6)
        return Material(
            pattern,
            first,
            second,
            self.any_colour(),
            period,
            self.between(0.3, 1),
            bump=0.15,
            bump_period_m=0.02,
            seed=self.seed(),
        )
