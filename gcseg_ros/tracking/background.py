"""Masks of keyframes found beside the mapping: a live mapper goes on propagating while a slow generator works."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from gcseg_ros.masks.masks import Labels
from gcseg_ros.masks.proposals import MaskGenerator, Proposals
from gcseg_ros.propagation.reprojection import ReprojectionPropagator
from gcseg_ros.views import View


class BackgroundGenerator:
    """Works on one keyframe at a time; those that come meanwhile are passed over.

    When its masks are there the camera has moved on, so they are carried to the present view, through depth and poses.
    """

    def __init__(self, generate: MaskGenerator) -> None:
        self.generate = generate
        self._thread = ThreadPoolExecutor(1, "keyframe masks")
        self._work: tuple[View, Future[Proposals]] | None = None

    @property
    def busy(self) -> bool:
        """Whether masks are being found: until they are, the thread does not end."""
        return self._work is not None and not self._work[1].done()

    def __call__(self, view: View, due: bool) -> Proposals | None:
        """Begin with this view, if it is `due` and nothing is under way; give what has been finished, as seen from here.

        Raises what the generator raised.
        """
        proposals = None
        if self._work is not None and self._work[1].done():
            keyframe, result = self._work
            self._work = None
            proposals = carried(result.result(), keyframe, view)
        if due and self._work is None:
            self._work = view, self._thread.submit(self.generate, view)
        return proposals


def carried(proposals: Proposals, keyframe: View, view: View) -> Proposals:
    """The masks of one view in another one."""

    def carry(labels: Labels) -> Labels:
        propagate = ReprojectionPropagator()
        propagate.prompt(keyframe, labels)
        return propagate(view)

    return Proposals(carry(proposals.detections), tuple(map(carry, proposals.levels)))
