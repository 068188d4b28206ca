"""From a corpus to a bundle: crop cache, training loop, and the finishing on validation sources."""
