"""What `--json` of each command prints: the members of its one value, held against it by test_json_story.py."""

LIST = "a list, for each "
"""Says that the value is a list of objects with these members."""

_STATEMENT = "`statement` is what is signed (format.md)"
_REPORT = ("bytes", "dry_run", "engine", "job", "place", "retried", "seconds", "tasks", "warnings")
_REPORTED = "`bytes`: of payload, in `seconds`; `retried`: tasks that were done again"
_CHANGED = ("trust", "update", "enough", "store")
_CHANGED_TOLD = (
    "`store`: as in its file, `trust`; `update`: the file that brings it to devices, or null; `enough`: that has its "
    "signatures"
)
_SENT = ("digest", "head", "kept", "server")
_SENT_TOLD = "`head`: as signed, `digest`: what the next one names; `kept`: the file that it is kept in"
_RUNNING = ("path", "running", "problem")
_BUNDLE = (
    "a bundle is `id`, `version`, `sequence`, `digest` and, from a server, `download`; null: the built-in one, or none"
)
_CAPGO = ("checksum", "filename", "ivSessionKey")
_CAPGO_TOLD = "as Capgo's own command names them"

JSON: dict[str, tuple[tuple[str, ...], str]] = {
    "init": (("app", "web", "files"), "each of `files` has `path`, `secret`"),
    "doctor": (("severity", "where", "what", "advice"), f"{LIST}finding"),
    "release": (
        ("statement", "seal", "payload", "published", "recipes"),
        f"{_STATEMENT}; `seal`, `payload`: files; `published`: as the server tells it, or null; each of `recipes` has "
        "`name`, `base`, `bytes`, `kept`",
    ),
    "publish": (("release", "logged", "head"), "`release`: as the server tells it; `head`: number of the one sent"),
    "withdraw": (("release",), "as the server tells it"),
    "head sign": (_SENT, _SENT_TOLD),
    "head renew": (_SENT, _SENT_TOLD),
    "head show": (("digest", "head"), ""),
    "head recall": (
        ("file", "recalled", "signed_by"),
        "`recalled`: sequences, `signed_by`: fingerprints; without `-o`: as of `head sign`, and `recalled`",
    ),
    "head cosign": (("file", "signed_by"), "`signed_by`: the fingerprint of the key that was added"),
    "log verify": (("verified", "head", "entries", "pending"), "`head`: the last entry's digest"),
    "log store": (("log", "trust_version", "noted"), "`noted`: it was not there before"),
    "seal": (
        ("output", "seal", "statement", "recipes"),
        f"{_STATEMENT}; `seal`: its file, where it has one of its own; each of `recipes` has `name`, `base`, `bytes`",
    ),
    "verify": (
        ("verified", "statement", "signers", "unchecked_signatures"),
        "each of `signers` has `keyid`, `role`, `certificate`; rejected (exit code 1): `verified` is false, `error`, "
        "`message` and what the error has, such as `segment`, `offset`",
    ),
    "unseal": (("output", "statement"), ""),
    "inspect": (("statement", "signatures", "verified"), "`verified` is always false"),
    "rewrap": (("output", "statement", "signers", "logged"), "`logged`: noted in the project's release log"),
    "cosign": (("output", "statement", "signers", "logged"), "`signers`: key ids of all signatures"),
    "split": (("output", "seal", "statement"), "`output`: the payload"),
    "join": (("output", "statement"), ""),
    "delta make": (
        (
            *("recipe_bytes", "new_bytes", "base_bytes", "frames_bytes", "frame_bytes", "reference_bytes"),
            *("level", "tries"),
        ),
        "delta.md",
    ),
    "delta apply": (("new_bytes", "recipe_bytes", "copied_bytes"), "`copied_bytes`: of the base"),
    "delta show": (
        (
            *("recipe_bytes", "payload_header_bytes", "frame_bytes", "reference_bytes", "history_bytes"),
            *("base_entries", "base_bytes", "base_digest", "new_bytes", "new_digest", "directory_bytes"),
            *("blocks", "copies", "copied_bytes", "frames_bytes", "packed_bytes"),
        ),
        "delta.md",
    ),
    "key generate": (("files", "fingerprint"), "SHA-256 of the public key, in hexadecimal"),
    "key show": (("fingerprint", "bits", "kind"), f"{LIST}key; `kind`: private, public, hardware"),
    "key import": (("file", "subject", "valid_until", "root"), "`root`: subject of the CA, or null; a day"),
    "trust show": (("update_of", "store"), "`update_of`: digest of the store that an update changes, or null"),
    "trust add": (_CHANGED, _CHANGED_TOLD),
    "trust remove": (_CHANGED, "the same"),
    "trust heads": (_CHANGED, "the same"),
    "trust restart": (_CHANGED, "the same"),
    "trust cosign": (("file", "signed_by", "enough"), ""),
    "trust apply": (("trust", "version", "was"), "versions of the store in the file `trust`"),
    "trust publish": (("server", "app", "versions", "in_force"), "`in_force`: the version that the server goes by"),
    "store export": (("added", "removed", "documents", "failed", "warnings"), "`documents`: files that were written"),
    "store prune": (("dry_run", "releases", "damaged"), "`releases`: as the server tells them"),
    "fetch": (("statement", "seal", "payload", "attachments"), "files; `attachments` by their names"),
    "device install": (
        ("staged", "already"),
        f"{_BUNDLE}; `already`: it runs, and nothing was staged",
    ),
    "device refresh": (
        ("head", "uncertain"),
        "`head`: `epoch`, `number`, `issued`, `expires`; `uncertain`: `since`, `why`",
    ),
    "device activate": (("pending",), _BUNDLE),
    "device boot": (_RUNNING, "`path`: what to run; `problem`: why it is not what was to run, or null"),
    "device confirm": (_RUNNING, ""),
    "device rollback": (_RUNNING, ""),
    "device current": (("path",), ""),
    "device prune": (("deleted",), "names of bundles"),
    "device verify": (("bundle", "problem"), f"{LIST}bundle; `problem`: null where it is whole"),
    "device status": (
        ("floor", "current", "staged", "pending", "starts", "confirmed", "failed", "head", "uncertain"),
        "`floor`: a sequence; each of `failed` has `digest`, `sequence`, `version`, `reason`",
    ),
    "fleet seal": (_REPORT, _REPORTED),
    "fleet verify": (_REPORT, "the same"),
    "fleet unseal": (_REPORT, "the same"),
    "fleet scrub": ((*_REPORT, "releases", "checked", "findings"), "each of `findings` has `kind`, `path`, `text`"),
    "fleet rewrap": (
        (*_REPORT, "renewed", "already", "findings", "added", "dropped"),
        "`added`, `dropped`: seals by the recipient's fingerprint",
    ),
    "capgo keygen": (("key_id", "private_key", "public_key"), "files"),
    "capgo encrypt": (_CAPGO, _CAPGO_TOLD),
    "capgo decrypt": (("output", "plaintext_bytes"), ""),
    "capgo verify": (("verified", "plaintext_bytes"), ""),
    "capgo manifest": (("session_key", "key_id", "manifest"), "`manifest`: as the plugin takes it"),
    "capgo import": (
        ("app", "channel", "version", "sequence", "config", "record", "sealed", "published", "left_to_do"),
        "with `--dry-run`, `sequence`, `sealed` and `published` are null",
    ),
    "capgo statistics": (("counts",), "capgo.md"),
    "capgo convert to-capgo": (_CAPGO, _CAPGO_TOLD),
    "capgo convert to-sealed": (("output", "record", "statement"), ""),
}
