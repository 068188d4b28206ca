"""Where the CNN looked, and whether its verdict holds when the file is treated again."""
