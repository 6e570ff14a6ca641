"""The command line: skopeo's flags live only here."""
