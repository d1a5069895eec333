"""What YAML files say: documents with lines, flows, dumps of mementos."""
