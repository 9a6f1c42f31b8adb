"""The harness: docs/evaluation.md's protocol over a corpus, detector by detector."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from btresearch.detect import Detector
from btresearch.evidence.corpus import Corpus
from btresearch.evidence.evaluation import Evaluation

PACKETS = (5, 10, 20, 50, 100)


def evaluate(
    corpus: Corpus,
    detectors: Iterable[str | Detector] | None = None,
    *,
    seed: int,
    folds: int = 4,
    packets: tuple[int, ...] = PACKETS,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Test `detectors` (names or Detectors, all registered ones when None) on `corpus` by the protocol.

    Sessions are dealt to `folds`; each fold is tested once, by models trained on sessions of others and with
    thresholds fixed on the sessions of a third part. `packets`: after how many packets to ask again (empty: don't;
    detectors that replay frames through an engine are never asked again). A detector whose tool is missing here is
    in `Evaluation.skipped`.

    Raises:
        UngroupedSplit: flows without a session, or fewer than three folds.
        DetectorError: an unknown detector.
    """
    raise NotImplementedError
