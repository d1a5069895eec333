"""The workflow engine: generators that read and commit values through ports."""
