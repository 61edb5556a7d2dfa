"""The checks themselves, in tiers; `mmarch.check.suite` imports every file of this folder."""
