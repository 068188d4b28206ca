"""Degradations keep the shape, follow their chances, and depend on the generator alone."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.augment import Degradations, degrade, flip_and_cut, resave
from tests.files import pixels


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), strength=st.floats(0, 1))
def test_any_draw_gives_a_view_of_the_same_shape(seed: int, strength: float) -> None:
    everything = Degradations(rescale=1, blur=1, noise=1, light=1, recompress=1, again=0.5)
    view = pixels(64, 64)
    out = degrade(view, everything, strength, random.Random(seed))
    assert out.shape == view.shape
    assert out.dtype == np.uint8
    assert out.flags["C_CONTIGUOUS"]
    again = degrade(view, everything, strength, random.Random(seed))
    np.testing.assert_array_equal(out, again)


def test_strength_zero_changes_nothing() -> None:
    view = pixels(64, 64)
    np.testing.assert_array_equal(degrade(view, Degradations(), 0.0, random.Random(1)), view)


def test_lower_quality_loses_more() -> None:
    view = pixels(64, 64)
    for webp in (False, True):
        losses = [
            float(np.abs(resave(view, q, webp, 0x411111).astype(int) - view).mean())
            for q in (30, 60, 95)
        ]
        assert losses[0] > losses[1] > losses[2] > 0


def test_cuts_come_from_the_view_and_half_are_mirrored() -> None:
    view = pixels(80, 80)
    seen = {flip_and_cut(view, 80, random.Random(i)).tobytes() for i in range(20)}
    assert seen == {view.tobytes(), view[:, ::-1].tobytes()}
