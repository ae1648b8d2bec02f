"""Clock, waiting, files, codec, undo: what touches time and disk, once, for everybody."""
