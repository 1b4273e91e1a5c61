"""Makes ``metric_samples``, also run as a process of its own, importable by the tests."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
