"""Entry points of other packages; one that fails is named and never stops a scan."""
