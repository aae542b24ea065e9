"""Only imports what everybody who encrypts in Python imports: its peak RSS is what an interpreter costs."""

import cryptography.hazmat.primitives.ciphers.aead
import numpy

print(numpy.__version__, cryptography.__version__)
