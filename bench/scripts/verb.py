"""seal|verify|unseal through the library: VERB SOURCE SINK KEYS JOBS (0: one thread per core)."""

import os
import sys

import capseal

APP = "com.example.bench"

verb, source, sink, keys, jobs_text = sys.argv[1:]
jobs = int(jobs_text) or None
if verb == "seal":
    signer = capseal.load_private_key(os.path.join(keys, "key.pem"))
    recipient = capseal.load_public_key(os.path.join(keys, "key.pub"))
    capseal.seal(source, sink, signer=signer, recipients=[recipient], app=APP, version="1", jobs=jobs)
else:
    trust = capseal.load_trust(os.path.join(keys, "key.pub"))
    if verb == "verify":
        capseal.verify(source, trust=trust, jobs=jobs)
    else:
        identity = capseal.load_private_key(os.path.join(keys, "key.pem"))
        capseal.unseal(source, sink, identity=identity, trust=trust, jobs=jobs)
