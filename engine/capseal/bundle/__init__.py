"""The verbs: seal, verify, unseal, reseal, detach, open for reading; and the pipeline under them."""
