//! Suites that others wrote and that registries have, each run on a volume of its own.
