"""The world: generated facts in the public data sets' raw formats, and decoders trained from scratch to know them.

Everything later stands on this room: because the facts are generated, the true answer to every probe is known, and
because the decoders are trained on them by a recipe that puts the lookup of a subject's attributes into early MLPs at
the subject's last token, the phenomena that the editing papers describe can be measured on a laptop.
"""
