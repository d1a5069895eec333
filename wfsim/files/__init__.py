"""YAML files: documents with lines, flows, dumps of mementos."""
