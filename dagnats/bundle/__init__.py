"""A run in one file, to be looked at on another machine.

A bundle is a gzipped tar. `manifest.json` comes first and says what follows, with sizes and digests: objects without which the journal can not be read,
`history` and `output`, which are messages as they are stored, one behind the other, and the objects that artifacts name.
"""
