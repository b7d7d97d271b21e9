"""What several kinds of backbones share; their common names are those of `unisid.backbones`."""
