# Names that look unused and are not; each with the one who uses it. Read by vulture only.
exc_type  # the protocol of context managers
exc_value
traceback
