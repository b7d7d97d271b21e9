"""A full memory is told from every other error, and says what to lower."""

import pytest
import torch

from unisid.errors import ConfigError
from unisid.training.memory import naming_the_setting


def test_only_a_full_memory_is_taken_for_one():
    with pytest.raises(ConfigError, match="the memory is full"), naming_the_setting("here", 0):
        torch.empty(1 << 60, dtype=torch.uint8)  # torch's own allocator refuses
    with pytest.raises(ConfigError, match="add workers"), naming_the_setting("here", 3):
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes do not match"), naming_the_setting("here", 0):
        raise RuntimeError("shapes do not match")
