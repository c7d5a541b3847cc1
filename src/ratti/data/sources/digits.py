"""scikit-learn's handwritten digits: 1,797 real scans of 8x8 pixels (UCI Optical Recognition of Handwritten Digits).

Alpaydin and Kaynak 1998, CC BY 4.0; shipped inside scikit-learn's wheel. The writers are not named, so samples are
their own groups; the test part is a fixed fifth of every class.
"""

from __future__ import annotations

import numpy as np

from ...errors import InputError, MissingDependencyError
from ..dataset import Dataset, Kind, LoadReport, Part
from ..images import resize
from ..options import Options
from ..split import cut_by_group, own_groups

FORMS = "'digits' (scikit-learn's handwritten digits)"
SPLIT_SEED = 0  # of the test part: the same samples whatever the seed of a run


def accepts(source: str) -> bool:
    return source == "digits"


def load(source: str, options: Options) -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingDependencyError("scikit-learn", "train", "the digits data set") from None
    if options.front_end is not None:
        raise InputError("digits are pictures of 8x8 as they are: leave out the front end")
    raw = load_digits()
    x = np.round(raw.images * (255 / 16)).astype(np.uint8)[..., None]  # 0..16 to 0..255
    x = resize(x, options.size or (8, 8), options.channels or 1)
    everything = Part(x, raw.target.astype(np.int64), own_groups(len(x), "digit"))
    test = cut_by_group(everything.y, everything.groups, options.test_share, SPLIT_SEED)
    rest = everything.take(~test)
    val = cut_by_group(rest.y, rest.groups, options.val_share, options.seed)
    parts = rest.take(~val), rest.take(val), everything.take(test)
    return Dataset.sealed("digits", Kind.IMAGE, [str(d) for d in range(10)], parts, LoadReport(source))
