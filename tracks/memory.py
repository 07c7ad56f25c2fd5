"""The allocator's thresholds."""

from __future__ import annotations

import ctypes
import sys


def keep_freed_memory() -> None:
    """Tell glibc to keep large freed blocks: to give each array back to the system and ask for it anew costs a factor
    of 1.3 to 3 in a network (facts/models.md section 3.2), and 1.7 where runs are binned. Does nothing elsewhere."""
    if sys.platform != "linux":
        return
    trim_threshold, mmap_threshold = -1, -3
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another libc
        return
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, 1 << 30)
