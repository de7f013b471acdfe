"""Draw the extended log-barrier for growing t, as the paper's Figure 3 does.

python docs/images/make_barrier.py docs/images/barrier.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from shapewise.plots.barrier import barrier_figure
from shapewise.plots.style import save

save(barrier_figure(), Path(sys.argv[1]))
