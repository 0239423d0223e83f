"""What the client does, without I/O: requests, retries, errors, documents, and the parsing of streams."""
