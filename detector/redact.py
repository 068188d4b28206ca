"""Takes faces, names, paths and texts out of a campaign before it is passed on."""
